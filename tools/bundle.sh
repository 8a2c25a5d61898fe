#!/usr/bin/env bash
# Packs the commands and the shared libraries they need into one archive that runs wherever it is unpacked,
# on any Linux of this processor kind whose glibc is as new as this one's: for cluster nodes that have
# neither a compiler nor the libraries. CUDA, cuDNN and the driver stay out: a node with a GPU has its own. So
# does the module by which moe-ingest reads TIFF, BMP, JPEG 2000, GIF and AVIF (180 MB of OpenCV and what it
# needs): ingest those before, and take the dataset to the nodes.
#   tools/bundle.sh [--tests] [--build DIR] OUT.tar.gz
#   --tests      tests and benchmarks too, with their files (for tools/gpu_check.sh --bundle)
#   --build DIR  the build to pack (default: build, made where it is missing)
# On the node: tar xf OUT.tar.gz; hardmoe/bin/moe-run hardmoe/configs/quickstart.yaml …
set -euo pipefail

usage() { sed -n '7,10s/^# \{0,1\}//p' "$0"; }

tests=no build=build out=
while (($# > 0)); do
  case $1 in
    --tests) tests=yes ;;
    --build)
      (($# > 1)) || { echo "bundle.sh: --build needs a folder" >&2; exit 2; }
      build=$2
      shift
      ;;
    --help | -h) usage; exit 0 ;;
    -*) echo "bundle.sh: unknown option '$1'" >&2; usage >&2; exit 2 ;;
    *) [[ -z $out ]] || { echo "bundle.sh: one archive, please, not also '$1'" >&2; exit 2; }
      out=$1 ;;
  esac
  shift
done
[[ -n $out ]] || { usage >&2; exit 2; }
out=$(realpath -m "$out")
build=$(realpath -m "$build")
cd "$(dirname "$0")/.."

if [[ ! -f $build/CMakeCache.txt ]]; then
  [[ $build == "$PWD/build" ]] || { echo "bundle.sh: $build is no build folder" >&2; exit 1; }
  tools/configure.sh
fi
targets=(commands)
[[ $tests == no ]] || targets=(all bench)
cmake --build "$build" --target "${targets[@]}" >&2

stage=$(mktemp -d)
trap 'rm -rf "$stage" "$out.part"' EXIT
root=$stage/hardmoe
mkdir -p "$root/bin" "$root/lib"
cp "$build"/bin/moe-* "$root/bin/"
cp -r configs LICENSE THIRD-PARTY.md third_party/copyright "$root/"
if [[ $tests == yes ]]; then
  cp "$build"/bin/test_* "$build"/bin/bench-* "$root/bin/"
  mkdir "$root/tests"
  cp -r tests/files "$root/tests/"
fi
strip --strip-unneeded "$root"/bin/*

# Not the C library (it belongs to the node's loader) and nothing of NVIDIA's. The C++ and OpenMP run-time
# libraries go along: a node's may be older, and nothing else in these processes needs a newer one.
left_out='^(ld-linux.*|linux-vdso|lib(c|m|mvec|pthread|dl|rt|util|resolv|anl|nss_.*)|lib(cuda|cudart|cudnn|cublas|nv).*)\.so'
needed() { env -u LD_LIBRARY_PATH ldd "$@" | sed -n 's/^[[:space:]]*\([^ ]*\) => \(.*\) (0x.*$/\1 \2/p; s/=> not found/&/p'; }
needed "$root"/bin/* | sort -u | while read -r name file; do
  if [[ $file == *"not found"* ]]; then
    echo "bundle.sh: the library $name, which a command needs, is not on this machine" >&2
    exit 1
  fi
  [[ $name =~ $left_out ]] || cp -L "$file" "$root/lib/$name"
done
chmod u+w "$root"/lib/*
strip --strip-unneeded "$root"/lib/*

# Whatever is not taken from the archive now must be among what was left out.
needed "$root"/bin/* | sort -u | while read -r name file; do
  if [[ $file != "$root"/* && ! $name =~ $left_out ]]; then
    echo "bundle.sh: $name would still be looked for outside the archive: $file" >&2
    exit 1
  fi
done

glibc=$(objdump -T "$root"/bin/* "$root"/lib/* 2> /dev/null | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
cat > "$root/README.txt" << TEXT
hardmoe $(sed -n 's/^project(hardmoe VERSION \([^ ]*\).*/\1/p' CMakeLists.txt) for $(uname -m), glibc ${glibc#GLIBC_} or newer.
bin/moe-run --help says how to run the whole method, bin/moe-device what --device may name here.
A GPU needs its driver, cuDNN 9 and cuBLAS on the machine.
TEXT
mkdir -p "$(dirname "$out")"
tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner -czf "$out.part" hardmoe
mv "$out.part" "$out"
size=$(stat -c %s "$out")
echo "$out: $((size / 1000000)) MB, needs glibc ${glibc#GLIBC_} or newer" >&2
