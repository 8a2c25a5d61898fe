#!/usr/bin/env bash
# Everything about the GPU engine on one machine with a GPU: runs the tests there, then the benchmarks beside
# PyTorch, and writes OUT/gpu.json and OUT/table.txt, part by part, so that what is done is kept. Needs no
# network and no package registry.
#   tools/gpu_check.sh OUT [--bundle FILE] [--device cuda:N] [--only tests|bench] [--minutes 9] …
#   --bundle FILE  use the binaries of this archive (tools/bundle.sh --tests FILE, made on any machine)
#                  instead of building into build-gpu/, which needs nvcc, cuDNN and what tools/setup.sh installs
#   --only PART    the tests or the benchmarks alone
#   --minutes M    stop beginning parts after M minutes
# Further options go to tools/gpu_check.py (--help). Exit status: 0 all passed, 1 a part failed or there is no
# GPU, 2 wrong usage.
set -euo pipefail

usage() { sed -n '5,11s/^# \{0,1\}//p' "$0"; }

out= bundle= device=cuda options=()
while (($# > 0)); do
  case $1 in
    --bundle) bundle=$(realpath -m "${2:?gpu_check.sh: --bundle needs a file}"); shift ;;
    --device) device=${2:?gpu_check.sh: --device needs a name}; shift ;;
    --tiny) options+=(--tiny) ;;
    --help | -h) usage; exit 0 ;;
    -*)
      options+=("$1")
      if (($# > 1)) && [[ $2 != -* ]]; then
        options+=("$2")
        shift
      fi
      ;;
    *)
      [[ -z $out ]] || { echo "gpu_check.sh: one OUT, please, not also '$1'" >&2; exit 2; }
      out=$(realpath -m "$1")
      ;;
  esac
  shift
done
[[ -n $out ]] || { usage >&2; exit 2; }
cd "$(dirname "$0")/.."

if ! command -v python3 > /dev/null; then
  echo "gpu_check.sh: no python3 here; it drives the check" >&2
  exit 1
fi
if [[ $device == cuda* && ! -e /dev/nvidiactl && ! -e /dev/dxg ]]; then
  echo "gpu_check.sh: no NVIDIA GPU on this machine (no /dev/nvidiactl): there is nothing to check" >&2
  exit 1
fi

if [[ -n $bundle ]]; then
  [[ -f $bundle ]] || { echo "gpu_check.sh: $bundle: no such archive; make it with tools/bundle.sh --tests" >&2; exit 1; }
  unpacked=$(mktemp -d)
  trap 'rm -rf "$unpacked"' EXIT
  tar -C "$unpacked" -xf "$bundle"
  binaries=$unpacked/hardmoe/bin
else
  architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2> /dev/null | head -n 1 | tr -d .) || true
  cuda=(-DHARDMOE_CUDA=ON "-DHARDMOE_CUDA_ARCHITECTURES=$architecture")
  [[ $device != cpu ]] || cuda=(-DHARDMOE_CUDA=AUTO)
  generator=()
  [[ -f build-gpu/CMakeCache.txt ]] || ! command -v ninja > /dev/null || generator=(-G Ninja)
  if ! cmake -S . -B build-gpu "${generator[@]}" "${cuda[@]}" ||
    ! cmake --build build-gpu --parallel --target all bench; then
    echo "gpu_check.sh: could not build here; carry an archive of tools/bundle.sh --tests (--bundle FILE)" >&2
    exit 1
  fi >&2
  binaries=$PWD/build-gpu/bin
fi

python3 tools/gpu_check.py "$binaries" "$out" --device "$device" "${options[@]}"
