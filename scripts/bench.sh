#!/usr/bin/env bash
# Builds the release and every benchmark with its references, runs them all in under ten minutes, prints
# their tables and leaves build/bench/NAME.json of each.
#
#   scripts/bench.sh [--quick] [NAME...]     e.g. scripts/bench.sh --quick wire_bench
#
# Which benchmarks there are is read from the list that CMake writes (bench/CMakeLists.txt says how).
set -euo pipefail

cd "$(dirname "$0")/.."
source scripts/install_dependencies.sh
source scripts/build_steps.sh
build_directory=build/release
result_directory=build/bench
seconds_max=600

build_benchmarks() {
  local variables=(PILLION_BENCH=ON)
  # The benchmarks alone need no test library.
  [ -e "$build_directory/build.ninja" ] || variables+=(PILLION_TESTS=OFF)
  configure release "${variables[@]}"
  build release
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
install_dependencies build bench
build_benchmarks

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
