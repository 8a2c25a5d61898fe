#!/usr/bin/env bash
# From a fresh checkout to a trained hard mixture of experts and its report: Debian's public-domain clip
# art, on the CPU. Run again it resumes where it stopped, and is done in seconds once finished.
# Arguments go to moe-run, e.g. tools/quickstart.sh --set partition.experts=8
set -euo pipefail
cd "$(dirname "$0")/.."

for argument in "$@"; do
  if [[ $argument == --help || $argument == -h ]]; then
    sed -n '2,4s/^# //p' tools/quickstart.sh
    exit 0
  fi
done

# Only the table goes to standard output.
tools/setup.sh --quickstart >&2
tools/configure.sh -DHARDMOE_TESTS=OFF >&2
cmake --build build >&2

images=runs/openclipart/images.jsonl
if [[ ! -f $images ]]; then
  mkdir -p "$(dirname "$images")"
  python3 datasets/openclipart/openclipart_tags.py > "$images.part"
  mv "$images.part" "$images"
fi

exec build/bin/moe-run configs/quickstart.yaml --out runs/quickstart "$@"
