#!/usr/bin/env bash
# Writes anew what is generated from the method declarations and committed: the client's types, the OpenRPC document
# and the reference page. A test (tests/house/generated_test.py) fails while one of them is stale.
set -euo pipefail

cd "$(dirname "$0")/.."
source scripts/install_dependencies.sh
source scripts/build_steps.sh

# A file is replaced as a whole or not at all.
generate() {
  local format=$1 file=$2
  build/release/sidecar/pillion schema --format "$format" </dev/null >"$file.new" || { rm -f "$file.new"; fail "pillion schema --format $format failed; see above"; }
  if cmp -s "$file.new" "$file"; then rm "$file.new"; else mv "$file.new" "$file" && echo "written: $file"; fi
}

install_dependencies build
build_program
generate typescript frontend-bindings/client/src/generated/protocol.ts
generate openrpc frontend-bindings/openrpc.json
generate markdown frontend-bindings/reference.md
