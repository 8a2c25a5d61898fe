#!/usr/bin/env bash
# Fails if a room of lib/ includes one above it, or a vendor library's header appears outside the room
# that wraps it. The order and the owners are the two tables below.
#   tools/check_includes.sh [ROOT]
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

# Room, and what it may include besides itself.
allowed='
base
tensor base
gpu base
image base tensor
nn base tensor
data base tensor image nn
cluster base tensor gpu
engine base tensor gpu nn
ingest base tensor image nn data
train base tensor image nn data engine
moe base tensor image nn data cluster engine train
tasks base tensor image nn data gpu cluster engine train ingest moe
run base tensor image nn data cluster engine train ingest moe tasks
draw base
report base tensor image nn data cluster engine train moe tasks run draw
export base tensor image nn data cluster engine train moe tasks
search base tensor image nn data cluster engine train ingest moe tasks run
apps base tensor gpu image nn data cluster engine train ingest moe tasks run draw report export search
'

# Folder that may include it, and the header's beginning (extended regular expressions).
vendors='
lib/base yaml-cpp/
lib/base nlohmann/
lib/base utf8proc
lib/base openssl/
lib/base omp\.h
lib/image (jpeglib|turbojpeg|jerror)
lib/image png\.h
lib/image webp/
lib/image expat\.h
lib/image/foreign/codecs (opencv2/|tiffio\.h|gif_lib\.h|avif/)
lib/(image|ingest) (zlib|bzlib|zstd)\.h
lib/cluster Eigen/
lib/engine/cpu (oneapi/|dnnl)
lib/export (google/protobuf/|onnx\.pb\.h)
lib/search faiss/
lib/(gpu|(engine|cluster)/cuda) (cuda|cudnn|cublas|nccl|nvrtc|cub/)
apps CLI/
tests (gtest|gmock)/
'

includes() { # FILE:LINE:HEADER of every include below the folders given
  grep -rnE '^[[:space:]]*#[[:space:]]*include' --include='*.h' --include='*.cpp' --include='*.cu' \
    --include='*.cuh' "$@" |
    sed -E 's/^([^:]+:[0-9]+):[^"<]*["<]([^">]+)[">].*/\1:\2/'
}

[[ -d lib && -d apps ]] || { echo "check_includes.sh: no lib and apps in $PWD" >&2; exit 2; }
includes lib apps | awk -v allowed="$allowed" -v vendors="$vendors" '
  BEGIN {
    FS = ":"
    count = split(allowed, lines, "\n")
    for (i = 1; i <= count; ++i) {
      words = split(lines[i], word, " ")
      if (words > 0) rooms[word[1]] = 1
      for (j = 1; j <= words; ++j) may[word[1], word[j]] = 1
    }
    owners = 0
    count = split(vendors, lines, "\n")
    for (i = 1; i <= count; ++i) {
      if (split(lines[i], word, " ") == 2) { folder[++owners] = word[1]; pattern[owners] = "^" word[2] }
    }
  }
  function complain(text) { print $1 ":" $2 ": " text; bad = 1 }
  {
    split($1, path, "/")
    room = path[1] == "apps" ? "apps" : path[2]
    header = $3
    if (!(room in rooms)) complain("room " room " is not in the table of tools/check_includes.sh")
    if (header ~ /^\.\.?\//) complain("includes " header " by a relative path")
    slash = index(header, "/")
    target = slash > 0 ? substr(header, 1, slash - 1) : ""
    if (target in rooms && !((room, target) in may)) complain(room " may not include " header)
    if (header ~ /^engine\/(cpu|cuda|no_cuda)\// && room != "engine") {
      complain(header " is inside an engine; include engine/engine.h")
    }
    if (header ~ /^cluster\/(cpu|cuda|no_cuda)\// && room != "cluster") {
      complain(header " is inside a backend; include cluster/backend.h")
    }
    if (header ~ /^gpu\/(cuda|no_cuda)\// && $1 !~ /^lib\/(gpu|engine|cluster)\/(cuda|no_cuda)\//) {
      complain(header " is for GPU code; include gpu/devices.h")
    }
    for (i = 1; i <= owners; ++i) {
      if (header ~ pattern[i] && $1 !~ "^" folder[i] "/") {
        complain(header " belongs into " folder[i] " only")
      }
    }
  }
  END { if (NR == 0) { print "no includes found"; bad = 1 } exit bad }
'
