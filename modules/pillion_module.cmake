# pillion_module(NAME cache [SMALL] NEEDS storage metrics LINK zstd COLD cache_page.cpp HOT cache_rpc.cpp)
#
# Declares the module in the current folder: all its .cpp files become the library pillion_NAME. It sees ipc/, and of
# the other modules only those it NEEDS; LINK names system libraries. SMALL ones are compiled for size: nothing in them
# runs so often that its speed could be told. In the others that is said of the files that are COLD, and of all
# *_rpc.cpp that are not HOT: they declare methods and put answers together.
function(pillion_compile_for_size)
  if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    return()
  endif()
  foreach(file IN LISTS ARGN)
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "${file} is to be compiled for size, but there is no such file in ${CMAKE_CURRENT_SOURCE_DIR}")
    endif()
    set_property(SOURCE ${file} APPEND PROPERTY COMPILE_OPTIONS -Os)
  endforeach()
endfunction()

function(pillion_module)
  cmake_parse_arguments(PARSE_ARGV 0 module "SMALL" "NAME" "NEEDS;LINK;COLD;HOT")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(NOT sources) # a contract that nobody fulfils yet
    return()
  endif()
  add_library(pillion_${module_NAME} STATIC ${sources})
  if(module_SMALL AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_options(pillion_${module_NAME} PRIVATE -Os)
  elseif(NOT module_SMALL)
    file(GLOB declarations RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/*_rpc.cpp)
    list(REMOVE_ITEM declarations ${module_HOT} "")
    pillion_compile_for_size(${declarations} ${module_COLD})
  endif()
  list(TRANSFORM module_NEEDS PREPEND pillion_)
  foreach(needed IN LISTS module_NEEDS)
    target_link_libraries(pillion_${module_NAME} PUBLIC $<TARGET_NAME_IF_EXISTS:${needed}>)
  endforeach()
  target_link_libraries(pillion_${module_NAME} PUBLIC pillion_ipc PRIVATE pillion_options ${module_LINK})
  set_property(GLOBAL APPEND PROPERTY PILLION_MODULES pillion_${module_NAME})
endfunction()
