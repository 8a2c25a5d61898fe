#!/usr/bin/env bash
# Installs what is missing, builds into build/ and runs the tests; those labelled "long" (tests/README.md)
# only with --long. Further arguments go to ctest: tools/test.sh --long -R Safetensors
set -euo pipefail
if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  sed -n '2,3s/^# //p' "$0"
  exit 0
fi
cd "$(dirname "$0")/.."

which=(-LE '^long$')
if [[ ${1:-} == --long ]]; then
  which=()
  shift
fi

tools/setup.sh
tools/configure.sh -DHARDMOE_TESTS=ON
cmake --build build
# Two at a time: most tests use every processor themselves for a while, and wait for a while.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
ctest --test-dir build --output-on-failure -j2 "${which[@]}" "$@" | tee "$log" || status=$?
echo "seconds a suite, of test programs that ran side by side:"
tools/suite_times.sh < "$log"
exit "$status"
