#!/usr/bin/env bash
# Runs clang-tidy (.clang-tidy) over the C++ files that differ from BASE, as they are in the working tree.
#   tools/check_tidy.sh [--seconds N] [--all | BASE]
#   BASE         a commit; unless given: where this branch left main (or origin's), or on main itself HEAD~1
#   --all        every file
#   --seconds N  begins no file after N seconds and gives none longer; says how many were left unchecked
# Needs a configured build folder (tools/configure.sh). Exit status: 0 nothing found, 1 something found, 2 usage;
# 0, with a line that says so, where there is no clang-tidy 14 (other versions find other things).
set -euo pipefail
usage() { sed -n '3,8s/^# \{0,1\}//p' "$0"; }

seconds=0 base= all=no
while (($# > 0)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --all) all=yes ;;
    --seconds)
      seconds=${2:?check_tidy.sh: --seconds needs a number}
      shift
      ;;
    -*) echo "check_tidy.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
    *) base=$1 ;;
  esac
  shift
done
cd "$(dirname "$0")/.."

tidy=$(command -v clang-tidy-14 || command -v clang-tidy || true)
if [[ -z $tidy ]] || [[ $("$tidy" --version) != *'version 14.'* ]]; then
  echo "check_tidy.sh: no clang-tidy 14 here, nothing checked (tools/setup.sh --dev)" >&2
  exit 0
fi
if [[ ! -f build/compile_commands.json ]]; then
  echo "check_tidy.sh: build/ is not configured; run tools/configure.sh first" >&2
  exit 2
fi

if [[ $all == no && -z $base ]]; then
  for main in origin/main main; do
    base=$(git merge-base HEAD "$main" 2> /dev/null) || continue
    [[ $base == "$(git rev-parse HEAD)" ]] || break
    base=
  done
  [[ -n $base ]] || base=$(git rev-parse --verify --quiet HEAD~1) || {
    echo "check_tidy.sh: this commit has none before it here, nothing to compare with, nothing checked" >&2
    exit 0
  }
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# GCC's precompiled headers mean nothing to clang: a file is read with what it includes itself.
sed -E 's/ -Winvalid-pch//g; s/ -fpch-preprocess//g; s/ -include [^ ]*cmake_pch\.hxx//g' \
  build/compile_commands.json > "$work/compile_commands.json"

if [[ $all == yes ]]; then
  git ls-files -z 'lib/*.cpp' 'apps/*.cpp'
else
  git diff -z --name-only --diff-filter=d "$base" -- 'lib/*.cpp' 'apps/*.cpp'
fi > "$work/changed"
files=()
while IFS= read -r -d '' file; do # those that this machine's build compiles
  ! grep -qF "$PWD/$file" "$work/compile_commands.json" || files+=("$file")
done < "$work/changed"

check() { # FILE: what is found goes to $work/found
  local errors
  if ((seconds > 0 && SECONDS >= seconds)); then
    echo "$1" >> "$work/left"
    return
  fi
  errors=$(mktemp -p "$work")
  local limit=() status=0 found
  ((seconds == 0)) || limit=(timeout "$seconds")  # cudnn-frontend's headers alone take minutes
  found=$("${limit[@]}" "$tidy" --quiet -p "$work" "$1" 2> "$errors") || status=$?
  if ((status == 124)); then
    echo "$1" >> "$work/left"
    return
  fi
  ((status == 0)) || found+=$(cat "$errors")
  [[ -z $found ]] || echo "$found" >> "$work/found"
}
running=0
for file in ${files[@]+"${files[@]}"}; do
  if ((running >= $(nproc))); then
    wait -n
    ((running -= 1))
  fi
  check "$file" &
  ((running += 1))
done
wait

left=$([[ ! -f $work/left ]] || wc -l < "$work/left")
echo "check_tidy.sh: ${#files[@]} files changed${base:+ since ${base:0:12}}${left:+, $left of them not checked: $seconds seconds were over}" >&2
if [[ -s $work/found ]]; then
  cat "$work/found"
  exit 1
fi
