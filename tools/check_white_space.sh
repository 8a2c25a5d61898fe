#!/usr/bin/env bash
# Fails if a line of the files ends with blanks, or a file without a line end.
#   tools/check_white_space.sh [FILE…]    unless given: the repository's, but tests/files
set -euo pipefail
if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  sed -n '2,3s/^# \{0,1\}//p' "$0"
  exit 0
fi
if (($# == 0)); then
  cd "$(dirname "$0")/.."
  mapfile -d '' -t files < <(git ls-files -z -- . ':!tests/files')
  set -- "${files[@]}"
fi

bad=0
for file in "$@"; do
  [[ -f $file && -s $file ]] && grep -qI '' "$file" || continue # gone, empty or binary
  if grep -nHE '[[:blank:]]+$' "$file" | sed -E 's/^([^:]*:[0-9]+):.*/\1: blanks at the end/' | grep .; then
    bad=1
  fi
  if [[ -n $(tail -c 1 "$file") ]]; then
    echo "$file: no line end at its end"
    bad=1
  fi
done
exit $bad
