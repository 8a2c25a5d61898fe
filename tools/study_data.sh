#!/usr/bin/env bash
# Makes the datasets that configs/studies name, in runs/studies/data: tinytags whole, and a half, a quarter
# and an eighth of its training images.
#   tools/study_data.sh TINYTAGS        the folder of its tars (datasets/tinytags)
set -euo pipefail
if [[ $# -ne 1 || $1 == --help || $1 == -h ]]; then
  sed -n '2,4s/^# //p' "$0"
  exit $(($# != 1 ? 2 : 0))
fi
tars=$(realpath "$1")
cd "$(dirname "$0")/.."
tags=(--min-tag-count 50) # the whole set's for all: so the same images are evaluated
for part in :1 -half:0.5 -quarter:0.25 -eighth:0.125; do
  build/bin/moe-ingest "$tars"/tinytags-train-*.tar --val-source "$tars"/tinytags-val-*.tar \
    --sample "${part#*:}" "${tags[@]}" --out "runs/studies/data/tinytags${part%:*}"
  tags=(--vocabulary runs/studies/data/tinytags)
done
