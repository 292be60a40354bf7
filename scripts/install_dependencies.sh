# Sourced by the scripts beside it: installs what a machine lacks, and nothing that it has.
#
#   install_dependencies GROUP...     groups: build, test, run, bench
#
# A program counts as there when it can be run, wherever it comes from; a library when its Debian package is installed.
# Debian's package index is read only when something is missing.
node_major_min=18

# PROGRAM=PACKAGE is looked for as a program, a bare name as a package.
dependencies_of() {
  case $1 in
    build) echo g++=g++ cmake=cmake ninja=ninja-build ccache=ccache pkg-config=pkg-config libboost1.81-dev libmimalloc-dev \
      libspdlog-dev libfmt-dev libconcurrentqueue-dev nlohmann-json3-dev libtomlplusplus-dev libcli11-dev libxxhash-dev \
      libsqlite3-dev libpq-dev libhiredis-dev libcurl4-openssl-dev libssl-dev libzstd-dev ;;
    test) echo catch2 libsimdjson-dev python3=python3 setarch=util-linux node npm \
      redis-server=redis-server postgresql nginx=nginx-full clangd=clangd zsh=zsh fish=fish \
      dbus-run-session=dbus-daemon dbus-daemon=dbus-bin gnome-keyring-daemon=gnome-keyring libsecret-1-0 ;;
    run) echo node npm python3=python3 ;;
    bench) echo libsimdjson-dev libbenchmark-dev node ;;
    *) fail "install_dependencies knows no group $1" ;;
  esac
}

# One clear line, and the end.
fail() {
  echo "scripts/$(basename "$0"): $*" >&2
  exit 1
}

has_node() {
  local version
  version=$(node --version 2>/dev/null) || return 1
  version=${version#v}
  [ "${version%%.*}" -ge "$node_major_min" ]
}

missing_packages() {
  local group dependency packages=()
  for group in "$@"; do
    for dependency in $(dependencies_of "$group"); do
      case $dependency in
        node) has_node || echo nodejs ;;
        npm) command -v npm >/dev/null || echo npm ;;
        *=*) command -v "${dependency%%=*}" >/dev/null || echo "${dependency#*=}" ;;
        *) packages+=("$dependency") ;;
      esac
    done
  done
  # Where there is no dpkg, CMake says which library is missing.
  [ "${#packages[@]}" -gt 0 ] && command -v dpkg-query >/dev/null || return 0
  dpkg-query --show --showformat='${Package} ${db:Status-Status}\n' "${packages[@]}" 2>/dev/null |
    awk -v wanted="${packages[*]}" '$2 == "installed" { there[$1] = 1 }
      END { count = split(wanted, names, " "); for (i = 1; i <= count; i++) if (!(names[i] in there)) print names[i] }'
}

install_dependencies() {
  local packages=() become=() log
  mapfile -t packages < <(missing_packages "$@" | sort -u)
  [ "${#packages[@]}" -gt 0 ] || return 0

  local wish="these packages are missing: ${packages[*]}"
  command -v apt-get >/dev/null || fail "$wish; there is no apt-get to install them with"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "$wish; install them as root, there is no sudo"
    # Without a terminal nobody can type a password.
    if [ -t 0 ]; then become=(sudo); else become=(sudo -n); fi
    "${become[@]}" true 2>/dev/null || fail "$wish; install them as root, sudo refused"
  fi

  echo "installing ${packages[*]}"
  log=$(mktemp)
  local apt=("${become[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o DPkg::Lock::Timeout=300)
  if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "${packages[@]}"; } </dev/null >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    fail "installing failed, see above: ${packages[*]}"
  fi
  rm -f "$log"
  hash -r
  mapfile -t packages < <(missing_packages "$@" | sort -u)
  [ "${#packages[@]}" -eq 0 ] || fail "still missing or too old after the installation: ${packages[*]} (Node must be $node_major_min or newer)"
}
