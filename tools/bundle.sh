#!/usr/bin/env bash
# Packs the commands and the shared libraries they need into one archive that runs wherever it is unpacked,
# on any Linux of this processor kind whose glibc is as new as this one's: for cluster nodes that have
# neither a compiler nor the libraries. CUDA, cuDNN and the driver stay out: a node with a GPU has its own. So
# does the module by which moe-ingest reads TIFF, BMP, JPEG 2000, GIF and AVIF (180 MB of OpenCV and what it
# needs): ingest those before, and take the dataset to the nodes.
#   tools/bundle.sh [--tests] [--architecture N] [--build DIR] OUT.tar.xz
# OUT.tar.gz instead unpacks without xz, and is several times as large.
#   --tests           what tools/gpu_check.sh --bundle runs too, with its files; refused where the build is
#                     without the GPU engine or its tests
#   --architecture N  for one kind of GPU, such as 90 for H100 (default: all that the build is for); the build
#                     is then build-smN, with the GPU engine or not at all
#   --build DIR       the build to pack (default: build, made where it is missing)
# On the node: tar xf OUT.tar.xz; hardmoe/bin/moe-run hardmoe/configs/quickstart.yaml …
set -euo pipefail

usage() { sed -n '7,14s/^# \{0,1\}//p' "$0"; }

tests=no build= architecture= out=
while (($# > 0)); do
  case $1 in
    --tests) tests=yes ;;
    --architecture)
      [[ ${2:-} =~ ^[0-9]+a?$ ]] || {
        echo "bundle.sh: --architecture needs a compute capability without its point, such as 90" >&2
        exit 2
      }
      architecture=$2
      shift
      ;;
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
case $out in
  *.tar.xz | *.txz) pack=(xz --lzma2=preset=1,dict=256MiB) ;; # programs repeat each other, far apart
  *.tar.gz | *.tgz) pack=(gzip) ;;
  *) echo "bundle.sh: $out: expected a name that ends in .tar.xz or .tar.gz" >&2; exit 2 ;;
esac
out=$(realpath -m "$out")
[[ -z $build ]] || build=$(realpath -m "$build")
cd "$(dirname "$0")/.."
build=${build:-$PWD/build${architecture:+-sm$architecture}}

if [[ -n $architecture ]]; then
  generator=()
  [[ -f $build/CMakeCache.txt ]] || ! command -v ninja > /dev/null || generator=(-G Ninja)
  cmake -S . -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DHARDMOE_CUDA=ON \
    "-DHARDMOE_CUDA_ARCHITECTURES=$architecture" >&2
elif [[ ! -f $build/CMakeCache.txt ]]; then
  [[ $build == "$PWD/build" ]] || { echo "bundle.sh: $build is no build folder" >&2; exit 1; }
  tools/configure.sh
fi
targets=(commands)
tests_of_gpu=(test_gpu_kernels test_gpu_cluster test_gpu_itself test_cuda_plans test_engine test_pipeline)
if [[ $tests == yes ]]; then
  targets=(all bench)
  # AUTO leaves the GPU engine out where something is missing, and the archive would say so only on the node.
  known=$(cmake --build "$build" --target help)
  for test in "${tests_of_gpu[@]}" bench-step; do
    grep -qE "(^|[ /])$test($|[:. ])" <<< "$known" && continue
    echo "bundle.sh: $build has no $test, as it is configured without the GPU engine, or without tests;" \
      "configure it with -DHARDMOE_CUDA=ON -DHARDMOE_TESTS=ON, which says what is missing (tools/setup.sh" \
      "--cuda gets it), or leave --tests out" >&2
    exit 1
  done
fi
cmake --build "$build" --target "${targets[@]}" >&2

stage=$(mktemp -d)
trap 'rm -rf "$stage" "$out.part"' EXIT
root=$stage/hardmoe
mkdir -p "$root/bin" "$root/lib"
cp "$build"/bin/moe-* "$root/bin/"
cp -r configs LICENSE THIRD-PARTY.md third_party/copyright "$root/"
if [[ $tests == yes ]]; then
  cp "${tests_of_gpu[@]/#/$build/bin/}" "$build"/bin/bench-* "$root/bin/"
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
tar -C "$stage" --sort=name --owner=0 --group=0 --numeric-owner -c hardmoe | "${pack[@]}" > "$out.part"
mv "$out.part" "$out"
size=$(stat -c %s "$out")
echo "$out: $((size / 1000000)) MB, needs glibc ${glibc#GLIBC_} or newer" >&2
if ((size > 60000000)); then
  echo "$out: more than 60 MB; --architecture and a name that ends in .tar.xz make it smaller" >&2
fi
