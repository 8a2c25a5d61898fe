#!/usr/bin/env bash
# No command needs OpenCV, libtiff, giflib or libavif, itself or by its libraries: they come with the module
# that moe-ingest loads, which is built and finds all it needs. Argument: BUILD.
set -euo pipefail

build=$1
foreign='lib(opencv|gdal|tiff|gif|avif)[^ ]*'
module=$build/lib/hardmoe/modules/foreign_images.so
[[ -f $module ]] || { echo "no $module"; exit 1; }
# What ldd prints is read whole before it is searched: a grep that stops at its first match kills the writer of
# its pipe, and pipefail calls that a failure.
libraries=$(ldd "$module")
[[ $libraries =~ libopencv_imgcodecs[^\ ]*\ =\>\ / ]] || { echo "$module is not linked with OpenCV"; exit 1; }
if grep 'not found' <<< "$libraries"; then
  exit 1
fi
checked=0
for command in "$build"/bin/moe-*; do
  if ldd "$command" | grep -E "$foreign"; then
    echo "$command needs that"
    exit 1
  fi
  checked=$((checked + 1))
done
((checked > 0)) || { echo "no commands in $build/bin"; exit 1; }
echo "$checked commands do without"
