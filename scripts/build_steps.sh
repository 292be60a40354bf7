# Sourced by the scripts beside it, after install_dependencies.sh: the steps that build the program and its client. Each
# does nothing when nothing changed, and ends the script with one clear line when it fails.
client_directory=frontend-bindings/client

# configure PRESET [VARIABLE=VALUE...]; the preset's build directory keeps every other variable that it was given before.
# Once configured, the build itself notices when it must be configured again.
configure() {
  local preset=$1 directory=build/$1 variable wanted=()
  shift
  for variable in "$@"; do
    grep -qs "^${variable%%=*}:[A-Z]*=${variable#*=}\$" "$directory/CMakeCache.txt" || wanted+=("-D$variable")
  done
  [ ! -e "$directory/build.ninja" ] || [ "${#wanted[@]}" -gt 0 ] || return 0
  cmake --preset "$preset" "${wanted[@]}" || fail "configuring failed; see above"
}

# build PRESET [cmake --build option...]
build() {
  local preset=$1
  shift
  cmake --build --preset "$preset" -j "$(nproc)" "$@" || fail "the build failed; see above"
}

# The program alone asks for no test library, so that running it needs none.
build_program() {
  [ -e build/release/build.ninja ] || configure release PILLION_TESTS=OFF
  build release --target pillion
}

# The npm packages of a folder, as its lock file has them.
install_packages() {
  local installed=$1/node_modules/.package-lock.json
  if [ -e "$installed" ] && [ ! "$1/package-lock.json" -nt "$installed" ]; then return 0; fi
  (cd "$1" && npm ci --no-audit --no-fund --loglevel=error </dev/null) || fail "npm ci failed in $1; see above"
  # npm keeps the time of a file that it did not have to change.
  touch "$installed"
}

build_client() {
  install_packages "$client_directory"
  # The last file that the client's build writes. A file that was removed shows in the time of its folder.
  local last=$client_directory/dist/cjs/package.json
  if [ -e "$last" ]; then
    local changed
    changed=$(cd "$client_directory" && find src package.json package-lock.json tsconfig*.json -newer dist/cjs/package.json -print -quit)
    [ -n "$changed" ] || return 0
  fi
  (cd "$client_directory" && npm run --silent build </dev/null) || fail "the client's build failed; see above"
}
