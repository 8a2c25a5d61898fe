#!/usr/bin/env bash
# Fails if a relative link in a document leads nowhere, or if a document names a command or option that
# the commands in BIN do not have.
#   tools/check_documents.sh BIN [ROOT]
set -euo pipefail
shopt -s nullglob
if [[ $# -lt 1 || $1 == --help || $1 == -h ]]; then
  sed -n '2,4s/^# //p' "$0"
  exit $(($# < 1 ? 2 : 0))
fi
bin=$(realpath "$1")
cd "${2:-$(dirname "$0")/..}"

bad=0
complain() {
  echo "$1"
  bad=1
}

mapfile -t documents < <(find . -name '*.md' -not -path './build*' -not -path './.*/*' \
  -not -path './runs/*' -not -path './tests/files/*' | sort)
((${#documents[@]} > 0)) || { echo "check_documents.sh: no documents in $PWD" >&2; exit 2; }

# The anchors of a document, as GitHub makes them of its headings, one a line.
anchors() {
  sed -n 's/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^[:alnum:] _-]//g; s/ /-/g'
}

# ---- links ----
for document in "${documents[@]}"; do
  while IFS= read -r target; do
    case $target in *://* | mailto:*) continue ;; esac
    file=${target%%#*}
    path=$document
    [[ -z $file ]] || path=$(dirname "$document")/$file
    if [[ ! -e $path ]]; then
      complain "$document: the link to '$target' leads nowhere"
    elif [[ $target == *'#'* ]] && ! grep -qxF -- "${target#*#}" <<< "$(anchors "$path")"; then
      complain "$document: the link to '$target': $path has no such heading"
    fi
  done < <(grep -oE '\]\([^) ]+\)' "$document" | sed 's/^](//; s/)$//' | sort -u)
done

# ---- commands and options ----
options_in() { grep -oE -- '--[a-z][a-z0-9-]*' | sort -u | tr '\n' ' '; }
declare -A options # by command or script: " --a --b "; of "any command", those of all
options['any command']=' '
for command in "$bin"/moe-*; do
  options[$(basename "$command")]=" $("$command" --help | options_in)"
  options['any command']+=${options[$(basename "$command")]}
done
for script in tools/*.sh; do
  options[$script]=" $(options_in < "$script") --help "
done

# Lines of code blocks, those that end with \ joined to the next, and `inline code`.
code_of() {
  awk '
    /^```/ { inside = !inside; next }
    inside { line = line $0; if (sub(/\\$/, "", line)) next; print line; line = ""; next }
    {
      while (match($0, /`[^`]+`/)) {
        print substr($0, RSTART + 1, RLENGTH - 2)
        $0 = substr($0, RSTART + RLENGTH)
      }
    }
  ' "$1"
}

for document in "${documents[@]}"; do
  [[ $document != ./CHANGELOG.md ]] || continue # tells of what was, too
  # Of a line each command with the words up to the next one; comments are none of it.
  while IFS= read -r part; do
    name='any command'
    if [[ $part =~ ^(moe-[a-z]+(-[a-z]+)*|tools/[a-z_]+\.sh) ]]; then
      name=${BASH_REMATCH[1]}
      if [[ -z ${options[$name]:-} ]]; then
        complain "$document: there is no $name"
        continue
      fi
    elif [[ $document == ./datasets/* ]]; then
      continue # options of recipes and of other tools
    fi
    for option in $(grep -oE -- '(^|[[:space:]])--[a-z][a-z0-9-]*' <<< "$part" || true); do
      [[ ${options[$name]} == *" $option "* ]] ||
        complain "$document: no option $option of $name: $part"
    done
  done < <(code_of "$document" | sed -E 's/[[:space:]]#.*//; s/[|;&]+/\n/g; s/(^|[^[:alnum:]])(moe-[a-z]|tools\/[a-z_]+\.sh)/\1\n\2/g' |
    grep -E '^(moe-[a-z]|tools/[a-z_]+\.sh|--[a-z])' || true)
done
exit $bad
