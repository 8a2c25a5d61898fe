#!/usr/bin/env bash
# For the GPU engine: puts cudnn-frontend's headers into .cache/cudnn-frontend/include, from NVIDIA's
# package on PyPI, and says what else is missing and where it is to be had. tools/setup.sh --cuda calls it;
# it needs python3 with pip once, and neither root nor a GPU.
set -euo pipefail
if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  sed -n '2,4s/^# //p' "$0"
  exit 0
fi
cd "$(dirname "$0")/.."

# One wheel whatever this machine is: only its headers are used.
version=1.32.0
sha256=c6006556017a4d1c914c52a556c71b1267f2d6a0500f742e7b4edef539878df0
wheel=(--only-binary=:all: --python-version 311 --platform manylinux_2_28_x86_64)
headers=.cache/cudnn-frontend

get_frontend() {
  if [[ -f $headers/include/cudnn_frontend.h && $(cat $headers/version 2> /dev/null) == "$version" ]]; then
    return
  fi
  local work
  work=$(mktemp -d)
  echo "nvidia-cudnn-frontend==$version --hash=sha256:$sha256" > "$work/wanted.txt"
  if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    "${wheel[@]}" --dest "$work" --requirement "$work/wanted.txt" > "$work/log" 2>&1 ||
    ! python3 -m zipfile -e "$work"/*.whl "$work/unpacked" 2>> "$work/log"; then
    local reason
    reason=$(grep -m 1 '^ERROR' "$work/log" || tail -n 1 "$work/log")
    rm -rf "$work"
    echo "setup_cuda.sh: could not get cudnn-frontend's headers (${reason:-no message}); without a network," \
      "copy $headers/ from a checkout that has it, or unpack include/ of the wheel" \
      "nvidia-cudnn-frontend $version there" >&2
    exit 1
  fi
  mkdir -p .cache
  rm -rf "$headers" "$headers.new"
  mkdir "$headers.new"
  cp -r "$work/unpacked/include" "$headers.new/"
  cp "$work"/unpacked/nvidia_cudnn_frontend-*.dist-info/licenses/LICENSE* "$headers.new/" 2> /dev/null || true
  echo "$version" > "$headers.new/version"
  mv "$headers.new" "$headers"
  rm -rf "$work"
  echo "setup_cuda.sh: cudnn-frontend $version in $headers" >&2
}

# The folders that cmake/cuda.cmake looks into.
places() {
  local nvcc
  nvcc=$(command -v nvcc || true)
  printf '%s\n' "${CUDNN_PATH:-}" "${CUDA_HOME:-}" "${CUDA_PATH:-}" "${nvcc:+$(dirname "$(dirname "$nvcc")")}" \
    /usr/local/cuda
  python3 -c 'import sysconfig
for name in "cudnn", "cu13": print(sysconfig.get_path("purelib") + "/nvidia/" + name)'
  echo /usr
}

# The first of these files that is in any place.
find_file() {
  local place file
  for place in "${all_places[@]}"; do
    [[ -n $place ]] || continue
    for file in "$@"; do
      if [[ -e $place/$file ]]; then
        echo "$place/$file"
        return
      fi
    done
  done
  return 1
}

failed=0
get_frontend
mapfile -t all_places < <(places)
if ! find_file bin/nvcc > /dev/null; then
  echo "setup_cuda.sh: no nvcc here; install the CUDA toolkit from NVIDIA's repository for this" \
    "distribution (package cuda-toolkit-13-0), or name its folder in CUDA_HOME" >&2
  failed=1
fi
if ! cudnn=$(find_file include/cudnn_version.h "include/$(uname -m)-linux-gnu/cudnn_version.h"); then
  echo "setup_cuda.sh: no cuDNN here; install version 9 from NVIDIA's repository (package" \
    "cudnn9-cuda-13) or by 'pip install nvidia-cudnn-cu13', or name its folder in CUDNN_PATH" >&2
  failed=1
elif major=$(sed -n 's/^#define CUDNN_MAJOR *//p' "$cudnn") && [[ $major != 9 ]]; then
  echo "setup_cuda.sh: $cudnn is of cuDNN $major; version 9 is needed, from NVIDIA's repository (package" \
    "cudnn9-cuda-13) or by 'pip install nvidia-cudnn-cu13'" >&2
  failed=1
fi
exit $failed
