#!/usr/bin/env bash
# Builds the release and every benchmark with its references, runs them all in under ten minutes, prints
# their tables and leaves build/bench/NAME.json of each.
#
#   scripts/bench.sh [--quick] [NAME...]     e.g. scripts/bench.sh --quick wire_bench
#
# Which benchmarks there are is read from the list that CMake writes (bench/CMakeLists.txt says how).
set -euo pipefail

cd "$(dirname "$0")/.."
build_directory=build/release
result_directory=build/bench
seconds_max=600

fail() {
  echo "bench: $*" >&2
  exit 1
}

# What must be there, and the package that brings it.
missing_packages() {
  command -v g++ >/dev/null || echo g++
  command -v cmake >/dev/null || echo cmake
  command -v ninja >/dev/null || echo ninja-build
  command -v strip >/dev/null || echo binutils
  command -v node >/dev/null || echo nodejs
  [ -e /usr/include/simdjson.h ] || echo libsimdjson-dev
  [ -e /usr/include/nlohmann/json.hpp ] || echo nlohmann-json3-dev
  [ -e /usr/include/benchmark/benchmark.h ] || echo libbenchmark-dev
}

install_missing() {
  local packages=() become=()
  mapfile -t packages < <(missing_packages)
  [ "${#packages[@]}" -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "missing and no apt-get to install them: ${packages[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || fail "missing: run as root: apt-get install ${packages[*]}"
    become=(sudo -n)
  fi
  echo "installing ${packages[*]}"
  { "${become[@]}" apt-get update -qq && "${become[@]}" apt-get install -y -qq "${packages[@]}"; } \
    >"$result_directory/install.log" 2>&1 || fail "installing failed, see $result_directory/install.log"
}

build() {
  local log=$result_directory/build.log
  # Once configured, the build itself notices when it must be configured again.
  if ! grep -qs '^PILLION_BENCH:[A-Z]*=ON$' "$build_directory/CMakeCache.txt" || [ ! -e "$build_directory/build.ninja" ]; then
    cmake --preset release -DPILLION_BENCH=ON >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "configuring failed, see $log"; }
  fi
  cmake --build --preset release >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "the build failed, see $log"; }
}

quick=()
wanted=()
for argument in "$@"; do
  case $argument in
    --quick) quick=(--quick) ;;
    -*) fail "unknown option $argument; usage: scripts/bench.sh [--quick] [NAME...]" ;;
    *) wanted+=("$argument") ;;
  esac
done

mkdir -p "$result_directory"
install_missing
build

list=$build_directory/bench/benches.txt
[ -s "$list" ] || fail "$list is missing: is bench/ part of the build?"
for name in "${wanted[@]}"; do
  grep -q "^$name"$'\t' "$list" || fail "there is no benchmark $name; there are: $(cut -f1 "$list" | xargs)"
done

failed=()
SECONDS=0
while IFS=$'\t' read -r -a fields <&3; do
  name=${fields[0]}
  [ "${#wanted[@]}" -eq 0 ] || [[ " ${wanted[*]} " == *" $name "* ]] || continue
  [ "$SECONDS" -lt "$seconds_max" ] || fail "no time left for $name: all must run in $seconds_max s"
  echo "== $name"
  timeout "$((seconds_max - SECONDS))" "${fields[@]:1}" --json "$result_directory/$name.json" "${quick[@]}" || failed+=("$name ($?)")
  echo
done 3<"$list"

[ "${#failed[@]}" -eq 0 ] || fail "failed: ${failed[*]}"
echo "bench: done in $SECONDS s, reports in $result_directory/"
