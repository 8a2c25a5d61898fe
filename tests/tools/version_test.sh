#!/usr/bin/env bash
# The version stands in CMakeLists.txt; every command, the CMake package and the changelog's newest version
# say the same. Arguments: SOURCE BUILD VERSION, as CMake has it.
set -euo pipefail

source=$1 build=$2 version=$3
bad=0
differs() {
  echo "$1, expected $version"
  bad=1
}
commands=("$build"/bin/moe-*)
[[ -x ${commands[0]} ]] || { echo "no commands in $build/bin"; exit 1; }
for command in "${commands[@]}"; do
  name=$(basename "$command")
  said=$("$command" --version)
  [[ $said == "$name (hardmoe) $version" ]] || differs "$name --version: $said"
done
newest=$(grep -m 1 -oE '^## [0-9][0-9.]*' "$source/CHANGELOG.md" | sed 's/^## //')
[[ $newest == "$version" ]] || differs "CHANGELOG.md, its first heading with a number: $newest"
grep -qF "set(PACKAGE_VERSION \"$version\")" "$build/hardmoeConfigVersion.cmake" ||
  differs "hardmoeConfigVersion.cmake: $(grep -m 1 '^set(PACKAGE_VERSION' "$build/hardmoeConfigVersion.cmake")"
exit $bad
