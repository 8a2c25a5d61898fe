#!/usr/bin/env bash
# Installs what is missing, builds into build/ and runs every test. Arguments go to ctest:
#   tools/test.sh -R Safetensors
set -euo pipefail
if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  sed -n '2,3s/^# //p' "$0"
  exit 0
fi
cd "$(dirname "$0")/.."

tools/setup.sh
tools/configure.sh -DHARDMOE_TESTS=ON
cmake --build build
# Two at a time: most tests use every processor themselves for a while, and wait for a while.
ctest --test-dir build --output-on-failure -j2 "$@"
