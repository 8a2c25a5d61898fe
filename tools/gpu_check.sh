#!/usr/bin/env bash
# Everything about the GPU engine on one machine with a GPU, in the four parts of docs/gpu-day.md: tests of
# kernels and one training step; the benchmarks beside PyTorch; tests of engine and pipeline; counters and what
# is left of the benchmarks. OUT/gpu.json and OUT/table.txt are written step by step, so that what is done is
# kept; run again with the same OUT, it goes on. Needs no network and no package registry.
#   tools/gpu_check.sh OUT [--part 1…4] [--bundle FILE] [--device cuda:N] [--rows REGEX] [--minutes M] [--again] …
#   --part N       this part alone, at most 5, 9, 8 and 8 minutes; may be given more than once
#   --rows REGEX   only the steps, such as rows of the benchmark, whose names it matches
#   --bundle FILE  use the binaries of this archive (tools/bundle.sh --tests FILE, made on any machine) instead
#                  of building into build-gpu/, which needs nvcc, cuDNN and what tools/setup.sh installs
#   --minutes M    begin no step of a part after M minutes of it
#   --again        do what has passed before again
#   --peer PYTHON  the Python that has PyTorch (python3); --peer-compile off: without torch.compile
# Further options go to tools/gpu_check.py (--help). Exit status: 0 all passed, 1 a step failed or there is no
# GPU, 2 wrong usage.
set -euo pipefail

usage() { sed -n '6,16s/^# \{0,1\}//p' "$0"; }

out= bundle= device=cuda options=()
while (($# > 0)); do
  case $1 in
    --bundle) bundle=$(realpath -m "${2:?gpu_check.sh: --bundle needs a file}"); shift ;;
    --device) device=${2:?gpu_check.sh: --device needs a name}; shift ;;
    --tiny | --again) options+=("$1") ;;
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

# In some containers the driver is there without the device's control file.
has_gpu() {
  [[ -e /dev/nvidiactl || -e /dev/dxg ]] || { timeout 20 nvidia-smi -L 2> /dev/null | grep -q '^GPU '; }
}
if ! command -v python3 > /dev/null; then
  echo "gpu_check.sh: no python3 here; it drives the check" >&2
  exit 1
fi
if [[ $device == cuda* ]] && ! has_gpu; then
  echo "gpu_check.sh: no NVIDIA GPU on this machine (no /dev/nvidiactl, and nvidia-smi lists none): there is" \
    "nothing to check" >&2
  exit 1
fi

if [[ -n $bundle ]]; then
  [[ -f $bundle ]] || { echo "gpu_check.sh: $bundle: no such archive; make it with tools/bundle.sh --tests" >&2; exit 1; }
  # Beside the results, so that the next part need not unpack it again.
  binaries=$out/hardmoe/bin
  if [[ ! -d $binaries || $bundle -nt $out/hardmoe/unpacked ]]; then
    mkdir -p "$out"
    rm -rf "$out/hardmoe"
    tar -C "$out" -xf "$bundle" 2> /dev/null || python3 -m tarfile -e "$bundle" "$out" # where xz is missing
    touch "$out/hardmoe/unpacked"
  fi
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

exec python3 tools/gpu_check.py "$binaries" "$out" --device "$device" "${options[@]}"
