#!/usr/bin/env bash
# Installs what hardmoe needs from the distribution's own archive (Debian 12+, Ubuntu 22.04+).
# Run again it only checks, in well under a second.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tools/setup.sh [--cuda] [--quickstart] [--bench] [--peers] [--dev] [--fuzz] [--package]
  (always)      compiler and libraries to build and test the commands
  --cuda        for the GPU engine: cudnn-frontend's headers; says what else of CUDA is missing
  --quickstart  the clip art collection of tools/quickstart.sh
  --bench       PyTorch and photographs, for the side-by-side runs of tools/bench
  --peers       other programs from PyPI that tools/bench runs beside ours, in .cache/peers (6 GB)
  --dev         clang-format, clang-tidy, and programs by which tests read pictures, pages and scripts
  --fuzz        clang with libFuzzer, and its OpenMP
  --package     what makes, inspects and tries the Debian packages
TEXT
}

packages=(
  g++ cmake ninja-build ccache git
  libssl-dev libfmt-dev libyaml-cpp-dev nlohmann-json3-dev libutf8proc-dev libcli11-dev
  libjpeg-dev libpng-dev libwebp-dev zlib1g-dev libbz2-dev libzstd-dev libexpat1-dev libeigen3-dev libgtest-dev
  libopencv-imgcodecs-dev libtiff-dev libgif-dev libavif-dev # for moe-ingest: formats rewritten as PNG
  libprotobuf-dev protobuf-compiler # for moe-export: ONNX's schema as classes
  libfaiss-dev # for moe-search
  libdnnl-dev ocl-icd-opencl-dev # Debian's oneDNN package asks CMake for OpenCL, and only recommends it
)
cuda=no
peers=no
for option in "$@"; do
  case $option in
    --cuda)
      cuda=yes
      [[ -d $(dirname "$0")/../.cache/cudnn-frontend ]] || python3 -m pip --version > /dev/null 2>&1 ||
        packages+=(python3-pip)
      ;;
    --quickstart) packages+=(openclipart-png openclipart-svg python3) ;;
    --bench) packages+=(python3 python3-numpy python3-torch python3-torchvision mate-backgrounds) ;;
    --dev)
      packages+=(clang-format clang-tidy librsvg2-bin mandoc groff-base fish zsh python3-jsonschema python3-yaml
        slurm-wlm munge) # tests/slurm starts a cluster of its own
      ;;
    --peers)
      peers=yes
      packages+=(python3-venv)
      ;;
    --fuzz) packages+=(clang libclang-rt-dev libomp-dev) ;;
    --package) packages+=(dpkg-dev file lintian debootstrap) ;;
    --help | -h) usage; exit 0 ;;
    *) echo "setup.sh: unknown option '$option'" >&2; usage >&2; exit 2 ;;
  esac
done

install_peers() {
  local folder
  folder=$(cd -P "$(dirname "$0")/.." && pwd)/.cache/peers
  if cmp -s "$(dirname "$0")/bench/peers.txt" "$folder/installed.txt"; then return; fi
  echo "setup.sh: installing tools/bench/peers.txt into .cache/peers" >&2
  python3 -m venv "$folder"
  "$folder/bin/pip" install -q -r "$(dirname "$0")/bench/peers.txt"
  cp "$(dirname "$0")/bench/peers.txt" "$folder/installed.txt"
}

finish() {
  if [[ $peers == yes ]]; then install_peers; fi
  if [[ $cuda == yes ]]; then
    rm -f "${log:-}"
    exec "$(dirname "$0")/setup_cuda.sh"
  fi
  exit 0
}

if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
  echo "setup.sh: this machine has no apt. Install what corresponds to these Debian packages, then" \
    "build with CMake:" >&2
  printf '  %s\n' "${packages[@]}" >&2
  exit 1
fi

missing_packages() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2> /dev/null |
    sed -n 's/^installed //p' | sort -u) || true
  comm -23 <(printf '%s\n' "${packages[@]}" | sort -u) <(printf '%s\n' "$installed")
}

mapfile -t missing < <(missing_packages)
if ((${#missing[@]} == 0)); then
  finish
fi

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo > /dev/null; then
    echo "setup.sh: missing packages: ${missing[*]}" >&2
    echo "setup.sh: you are not root and there is no sudo; have an administrator run:" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "setup.sh: installing ${missing[*]}" >&2
if ! "${as_root[@]}" apt-get update -qq; then
  echo "setup.sh: apt-get update failed; trying with the package lists there are" >&2
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" > "$log" 2>&1; then
  cat "$log" >&2
  for package in "${missing[@]}"; do
    if ! apt-cache show "$package" > /dev/null 2>&1; then
      echo "setup.sh: '$package' is not in this distribution's archive" >&2
    fi
  done
  echo "setup.sh: could not install everything; hardmoe needs Debian 12 or later, or Ubuntu 22.04 or" \
    "later with 'universe' enabled, and a network connection this once" >&2
  exit 1
fi
finish
