# What `cmake --install` puts where, and the packages:
#
#   cmake --build --preset release && cpack --config build/release/CPackConfig.cmake
#
# leaves pillion_VERSION_amd64.deb and pillion-VERSION-Linux.tar.gz in build/release/packages. The binary itself is
# installed by sidecar/CMakeLists.txt.

# The program prints its own manual page and completions. They are asked for at installation, so that no other build
# waits for them; a program that cannot print one of them is not installed at all.
set(packaging_directory ${PROJECT_BINARY_DIR}/packaging)
function(install_printed file destination)
  install(CODE "
    file(MAKE_DIRECTORY \"${packaging_directory}\")
    execute_process(COMMAND \"$<TARGET_FILE:pillion>\" ${ARGN}
      INPUT_FILE /dev/null OUTPUT_FILE \"${packaging_directory}/${file}\" COMMAND_ERROR_IS_FATAL ANY)
    file(SIZE \"${packaging_directory}/${file}\" size)
    if(size EQUAL 0)
      message(FATAL_ERROR \"pillion ${ARGN} printed nothing\")
    endif()")
  install(FILES ${packaging_directory}/${file} DESTINATION ${destination})
endfunction()
install_printed(pillion.1 ${CMAKE_INSTALL_MANDIR}/man1 man)
install_printed(pillion ${CMAKE_INSTALL_DATADIR}/bash-completion/completions completions bash)
install_printed(_pillion ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions completions zsh)
install_printed(pillion.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d completions fish)

install(FILES README.md LICENSE frontend-bindings/reference.md frontend-bindings/openrpc.json
  DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(PILLION_MAINTAINER "The Pillion maintainers" CACHE STRING "Maintainer of the packages, as: Name <address>")
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGE_VENDOR "Pillion")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION "Pillion rides along with an Electron, Tauri or other desktop app as a child
process and speaks JSON-RPC 2.0 over its standard streams. It takes over what
a JavaScript process does slowly, and reports what every call costs.")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${PILLION_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
if(PILLION_RANDOM_ADDRESS)
  # dpkg-shlibdeps overlooks that packed relocations (-z pack-relative-relocs) need this loader.
  set(CPACK_DEBIAN_PACKAGE_DEPENDS "libc6 (>= 2.36)")
endif()
include(CPack)
