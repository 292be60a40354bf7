#!/usr/bin/env bash
# Installs what is missing, builds everything with its tests, and runs every test: the program's and the client's.
# The last line says how many passed and how many failed; the status is 0 only if all ran and none failed.
#
#   scripts/test.sh [--preset release|dev|asan|tsan]     the sanitizers test the program only
set -euo pipefail

cd "$(dirname "$0")/.."
source scripts/install_dependencies.sh
source scripts/build_steps.sh

usage="usage: scripts/test.sh [--preset release|dev|asan|tsan]"
preset=release
while [ "$#" -gt 0 ]; do
  case $1 in
    --preset) preset=${2-}; shift; [ "$#" -gt 0 ] || fail "$usage" ;;
    --preset=*) preset=${1#*=} ;;
    --help | -h) echo "$usage"; exit 0 ;;
    *) fail "unknown option $1; $usage" ;;
  esac
  shift
done
case $preset in
  release | dev | asan | tsan) ;;
  *) fail "there is no preset '$preset'; $usage" ;;
esac

passed_total=0
failed_total=0
summary=()

# suite NAME STATUS PASSED FAILED: enters a suite's result. One that ended badly without naming a failure, or that ran
# nothing, is itself the failure.
suite() {
  local name=$1 status=$2 passed=${3:-0} failed=${4:-0} remark=
  if [ "$failed" -eq 0 ] && [ "$status" -ne 0 ]; then
    failed=1 remark=" (ended with status $status and without naming a failure)"
  elif [ "$((passed + failed))" -eq 0 ]; then
    failed=1 remark=" (no test ran)"
  fi
  passed_total=$((passed_total + passed))
  failed_total=$((failed_total + failed))
  summary+=("$name: $passed passed, $failed failed$remark")
}

# ThreadSanitizer of g++ 12 cannot live with the wide address randomisation of newer kernels.
without_randomisation() {
  if [ "$preset" = tsan ] && setarch -R true 2>/dev/null; then setarch -R "$@"; else "$@"; fi
}

run_ctest() {
  local log=$1 status=0 line
  without_randomisation ctest --preset "$preset" </dev/null 2>&1 | tee "$log" || status=$?
  line=$(grep -E '^[0-9]+% tests passed, [0-9]+ tests? failed out of [0-9]+' "$log" | tail -n 1) || line=
  if [[ $line =~ ([0-9]+)\ tests?\ failed\ out\ of\ ([0-9]+) ]]; then
    suite "program (ctest)" "$status" "$((BASH_REMATCH[2] - BASH_REMATCH[1]))" "${BASH_REMATCH[1]}"
  else
    suite "program (ctest)" "$status"
  fi
}

run_client() {
  local log=$1 status=0
  (cd "$client_directory" && PILLION_BINARY="$OLDPWD/build/$preset/sidecar/pillion" npm test </dev/null) 2>&1 | tee "$log" | without_passed || status=$?
  suite "client (node --test)" "$status" "$(count_of pass "$log")" "$(($(count_of fail "$log") + $(count_of cancelled "$log")))"
}

# Of a hundred tests that passed, the count is enough; the log has their names.
without_passed() {
  awk '/^ *(ok |# Subtest|✔)/ { quiet = 1 } /^ *(not ok |✖)/ || $1 !~ /[0-9A-Za-z]/ && $2 ~ /^[a-z]+$/ && $3 ~ /^[0-9]+$/ { quiet = 0 } !quiet'
}

# Node closes with lines such as "# pass 12", or with an information sign before them where that is its style.
count_of() {
  awk -v word="$1" '$1 !~ /[0-9A-Za-z]/ && $2 == word && $3 ~ /^[0-9]+$/ && NF == 3 { count = $3 } END { print count + 0 }' "$2"
}

SECONDS=0
install_dependencies build test
configure "$preset" PILLION_TESTS=ON
build "$preset"
# Servers that the program is tried out against.
for folder in examples/shell tests/servers; do
  [ ! -e "$folder/package-lock.json" ] || install_packages "$folder"
done
run_ctest "build/$preset/test_program.log"
case $preset in
  release | dev)
    install_packages "$client_directory"
    run_client "build/$preset/test_client.log"
    ;;
esac

echo
echo "== $preset, $SECONDS s"
printf '%s\n' "${summary[@]}"
echo "$passed_total passed, $failed_total failed"
[ "$failed_total" -eq 0 ] && [ "$passed_total" -gt 0 ]
