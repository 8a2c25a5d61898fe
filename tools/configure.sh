#!/usr/bin/env bash
# Configures build/ by the preset "release" of CMakePresets.json; arguments go to cmake. A folder configured
# before keeps its generator, so that scripts and a developer's own choice can share it.
set -euo pipefail
if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  sed -n '2,3s/^# //p' "$0"
  exit 0
fi
cd -P "$(dirname "$0")/.." # one name for the folder, however it was reached: CMake builds by names

options=()
if [[ -f build/CMakeCache.txt ]]; then
  options=(-G "$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' build/CMakeCache.txt)")
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake --preset release "${options[@]}" "$@" > "$log"; then
  cat "$log" >&2
  exit 1
fi
