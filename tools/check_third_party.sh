#!/usr/bin/env bash
# Fails if a program of BUILD is linked with a library, or anything in it compiled with a header, whose Debian
# source package has no entry in THIRD-PARTY.md. Looked at are the libraries that programs name themselves,
# not those that these need, and no tests or benchmarks.
#   tools/check_third_party.sh BUILD [DOCUMENT]
# Exit status: 0 all are there, 1 something is missing, 2 usage, 77 this machine has no dpkg.
set -euo pipefail
shopt -s nullglob
if [[ $# -lt 1 || $1 == --help || $1 == -h ]]; then
  sed -n '2,6s/^# \{0,1\}//p' "$0"
  exit $(($# < 1 ? 2 : 0))
fi
build=$1
document=${2:-$(dirname "$0")/../THIRD-PARTY.md}
command -v dpkg-query > /dev/null || { echo "check_third_party.sh: no dpkg here, nothing checked" >&2; exit 77; }

programs=("$build"/bin/moe-* "$build"/lib/hardmoe/modules/*.so)
((${#programs[@]} > 0)) || { echo "check_third_party.sh: $build has no programs; build them first" >&2; exit 2; }

files=() # those to be asked for, as patterns: Debian names some with /usr and some without
for program in "${programs[@]}"; do
  needed=$(objdump -p "$program" | awk '$1 == "NEEDED" { print $2 }')
  libraries=$(ldd "$program" | awk -v needed="$needed" '
    BEGIN { count = split(needed, names, "\n"); for (i = 1; i <= count; ++i) direct[names[i]] = 1 }
    $1 in direct && $2 == "=>" { print $3 }')
  # Behind links, which need not be a package's: BLAS is chosen by an alternative.
  [[ -z $libraries ]] || files+=($(readlink -f $libraries | sed 's/^\/usr//; s/^/*/'))
done
if [[ -f $build/build.ninja ]]; then # Ninja remembers which headers an object was compiled with
  files+=($(ninja -C "$build" -t deps | awk '
    /^[^ ].*: #deps/ { ours = $1 !~ /^tests\/|\/(bench|gpu-floor)/; next }
    ours && $1 ~ /^\/usr\/include\// { print $1 }'))
else
  echo "check_third_party.sh: $build was not made with Ninja, headers are not checked" >&2
fi
mapfile -t files < <(printf '%s\n' "${files[@]}" | sort -u)

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
packages=$(dpkg-query -S "${files[@]}" 2> "$errors" | sed 's/: .*//; s/, /\n/g' | sort -u) || true # status 1 where it knew none
bad=0
if [[ -s $errors ]]; then
  echo "of no package, so that nobody has said what their licences are:"
  cat "$errors"
  bad=1
fi
# The compiler's packages have its version in their name.
sources=$(dpkg-query -W -f '${source:Package} ${Package}\n' $packages | sed -E 's/^gcc-[0-9]+ /gcc /' | sort -u)
while read -r source package; do
  if ! grep -qF "| \`$source\` |" "$document"; then
    echo "$document: no entry for the Debian source package '$source' (here $package), which the programs use"
    bad=1
  fi
done <<< "$sources"
((bad)) || echo "$(cut -d ' ' -f 1 <<< "$sources" | sort -u | wc -l) source packages, each with its entry"
exit $bad
