#!/usr/bin/env bash
# The archive of tools/bundle.sh in a root that holds nothing but the C library: every command starts there,
# and one ingests real images. Arguments: SOURCE BUILD. Exit status 77: this machine allows no such root.
set -euo pipefail

source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# An archive to check a GPU with is refused where a build has nothing of the kind.
mkdir "$work/without"
printf 'cmake_minimum_required(VERSION 3.22)\nproject(without NONE)\n' > "$work/without/CMakeLists.txt"
cmake -S "$work/without" -B "$work/without/build" > /dev/null
if "$source/tools/bundle.sh" --tests --build "$work/without/build" "$work/tests.tar.gz" 2> "$work/said"; then
  echo "an archive without the GPU's tests was made"
  exit 1
fi
grep -q "without/build has no test_gpu_kernels, as it is configured without the GPU engine" "$work/said"
[[ ! -e $work/tests.tar.gz ]]
if "$source/tools/bundle.sh" --architecture sm_90 "$work/tests.tar.gz" 2> "$work/said"; then
  exit 1
fi
grep -q "compute capability without its point" "$work/said"
# A mount namespace of its own, for /proc: by it a program finds the libraries beside itself.
root=$work/root
inside() {
  unshare --mount --map-root-user sh -c 'mount --rbind /proc "$0/proc" && exec env -i PATH="$PATH" LC_ALL=C.UTF-8 chroot "$0" "$@"' \
    "$root" "$@"
}
mkdir -p "$root/proc" "$root/tmp"
if ! unshare --mount --map-root-user sh -c "mount --rbind /proc '$root/proc' && chroot / true" 2> /dev/null; then
  echo "no root of its own allowed here"
  exit 77
fi

"$source/tools/bundle.sh" --build "$build" "$work/bundle.tar.gz"
size=$(stat -c %s "$work/bundle.tar.gz")
if ((size > 100000000)); then
  echo "the archive is $size bytes, more than 100 MB"
  exit 1
fi
tar -C "$root" -xf "$work/bundle.tar.gz"
# The C library's files, where this machine has them.
ldd "$root"/hardmoe/bin/* | grep -o '/[^ ]*/\(ld-linux[^ ]*\|lib\(c\|m\|mvec\|pthread\|dl\|rt\|resolv\|util\)\.so[^ ]*\)' |
  sort -u | while read -r file; do
    mkdir -p "$root$(dirname "$file")"
    cp -L "$file" "$root$file"
  done
cp -r "$source/tests/files/images" "$root/images"
cp "$source/tests/files/foreign/rgb.tif" "$root/images/"
printf '{"image": "%s", "tags": ["a"]}\n' color.jpg rgb.png lossless.webp rgb.tif > "$root/images/images.jsonl"
if ls "$root/hardmoe/lib" | grep -E 'opencv|gdal|tiff|avif'; then
  echo "the archive holds what only moe-ingest's other formats need"
  exit 1
fi

for command in "$root"/hardmoe/bin/*; do
  name=$(basename "$command")
  version=$(inside "/hardmoe/bin/$name" --version)
  [[ $version == "$name (hardmoe) "* ]] || { echo "$name --version: $version"; exit 1; }
done
inside /hardmoe/bin/moe-device > /dev/null
inside /hardmoe/bin/moe-ingest /images/images.jsonl --val-fraction 0 --min-tag-count 1 --resize 8 --out /data --quiet
grep -q '"train"' "$root/data/dataset.json"
grep -q '"other format".*TIFF\|TIFF.*"other format"' "$root/data/rejected.jsonl"
echo "$(ls "$root/hardmoe/bin" | wc -l) commands run from $((size / 1000000)) MB"
