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
images=("$source"/tests/files/images/{color.jpg,rgb.png,lossy.webp})

mkdir "$work/example"
cp "$prefix"/share/doc/hardmoe/docs/examples/tag_images/* "$work/example/"
if ! { cmake -S "$work/example" -B "$work/example/build" -DCMAKE_PREFIX_PATH="$prefix" &&
  cmake --build "$work/example/build"; } > "$work/example.txt" 2>&1; then
  cat "$work/example.txt"
  exit 1
fi
"$work/example/build/tag_images" "$work/tiny/pack" "${images[@]}" > "$work/found.txt"

# image,expert,distance,rank,tag,probability,error
moe-predict "$work/tiny/pack" "${images[@]}" --csv |
  awk -F, 'NR > 1 { if ($4 == 1) print $1; print "  " $6 " " $5 }' > "$work/expected.txt"
(($(wc -l < "$work/expected.txt") > 2 * ${#images[@]})) || { echo "moe-predict found too little"; exit 1; }
diff "$work/expected.txt" "$work/found.txt"

# What cannot be: an image that is none, networks that are none, another version of the package.
"$work/example/build/tag_images" "$work/tiny/pack" "$work/example.txt" | grep -q 'cannot be read: '
if "$work/example/build/tag_images" "$work" "${images[0]}" 2> "$work/errors.txt"; then
  echo "a folder without networks was taken"
  exit 1
fi
grep -q "^tag_images: $work: " "$work/errors.txt"
sed -i 's/find_package(hardmoe [^ ]*/find_package(hardmoe 99/' "$work/example/CMakeLists.txt"
if cmake -S "$work/example" -B "$work/example/other" -DCMAKE_PREFIX_PATH="$prefix" > /dev/null 2> "$work/errors.txt"; then
  echo "version 99 was found"
  exit 1
fi
grep -q 'hardmoeConfig.cmake, version: ' "$work/errors.txt"
echo "the example says of ${#images[@]} images what moe-predict says"
