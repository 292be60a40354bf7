#!/usr/bin/env bash
# Installs what is missing, builds the release and the client, and shows the program at work.
#
#   scripts/run.sh [--seconds N] [...]     the arguments are those of examples/shell/main.mjs
set -euo pipefail

cd "$(dirname "$0")/.."
source scripts/install_dependencies.sh
source scripts/build_steps.sh

install_dependencies build run
build_program
build_client
install_packages examples/shell
exec node examples/shell/main.mjs "$@"
