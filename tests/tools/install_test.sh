#!/usr/bin/env bash
# Installs the build into a folder, builds the example program against it outside of every source tree, and
# compares what that says of images with what the installed moe-predict says. Arguments: SOURCE BUILD.
set -euo pipefail

source=$(realpath "$1") build=$(realpath "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
export OMP_WAIT_POLICY=passive PATH=$prefix/bin:$PATH

cmake --install "$build" --prefix "$prefix" > "$work/installed.txt"
for file in include/hardmoe/tagger.h lib*/libhardmoe.a share/hardmoe/configs/quickstart.yaml \
  share/doc/hardmoe/{LICENSE,THIRD-PARTY.md,copyright,docs/installing.md,configs/README.md}; do
  compgen -G "$prefix/$file" > /dev/null || { echo "not installed: $file"; exit 1; }
done
[[ $(command -v moe-predict) == "$prefix/bin/moe-predict" ]]
"$source/tests/tools/tiny_mixture.sh" "$source/tests/files/images" "$work/tiny"
images=$source/tests/files/images

mkdir "$work/example"
cp "$prefix"/share/doc/hardmoe/docs/examples/tag_images/* "$work/example/"
if ! { cmake -S "$work/example" -B "$work/example/build" -DCMAKE_PREFIX_PATH="$prefix" &&
  cmake --build "$work/example/build"; } > "$work/example.txt" 2>&1; then
  cat "$work/example.txt"
  exit 1
fi
for networks in pack run/base; do # a mixture and a model, asked about a file and about a folder
  "$work/example/build/tag_images" "$work/tiny/$networks" "$images/color.jpg" "$images" > "$work/found.txt"
  moe-predict "$work/tiny/$networks" "$images/color.jpg" "$images" --csv | awk -F, '
    NR == 1 { for (i = 1; i <= NF; ++i) column[$i] = i; next }
    $column["rank"] == 1 { print $column["image"] }
    { print "  " $column["probability"] " " $column["tag"] }' > "$work/expected.txt"
  count=$(grep -c "^$images/" "$work/expected.txt")
  ((count > 30)) || { echo "moe-predict found $count images"; exit 1; }
  diff "$work/expected.txt" "$work/found.txt"
done

# What cannot be: an image that is none, networks that are none, another version of the package.
"$work/example/build/tag_images" "$work/tiny/pack" "$work/example.txt" | grep -q 'cannot be read: '
if "$work/example/build/tag_images" "$work" "$images/color.jpg" 2> "$work/errors.txt"; then
  echo "a folder without networks was taken"
  exit 1
fi
grep -q "^tag_images: $work: " "$work/errors.txt"
sed -i 's/find_package(hardmoe/& 99/' "$work/example/CMakeLists.txt"
if cmake -S "$work/example" -B "$work/example/other" -DCMAKE_PREFIX_PATH="$prefix" > /dev/null 2> "$work/errors.txt"; then
  echo "version 99 was found"
  exit 1
fi
grep -q 'hardmoeConfig.cmake, version: ' "$work/errors.txt"
echo "the example says of $count images what moe-predict says"
