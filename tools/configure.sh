#!/usr/bin/env bash
# Configures build/ for a Release build; arguments go to cmake. A folder configured before keeps its
# generator, so that scripts and a developer's own choice can share it.
set -euo pipefail
if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  sed -n '2,3s/^# //p' "$0"
  exit 0
fi
cd -P "$(dirname "$0")/.." # one name for the folder, however it was reached: CMake builds by names

options=(-DCMAKE_BUILD_TYPE=Release)
[[ -f build/CMakeCache.txt ]] || options+=(-G Ninja)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake -S . -B build "${options[@]}" "$@" > "$log"; then
  cat "$log" >&2
  exit 1
fi
