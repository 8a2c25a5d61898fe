#!/usr/bin/env bash
# Ingests a few images, trains a mixture of two experts on them for a moment and packs it, by the commands on
# the PATH: OUT/pack. Arguments: IMAGES (tests/files/images) OUT.
set -euo pipefail

images=$(realpath "$1")
mkdir -p "$2"
cd "$2"
for image in "$images"/*.{jpg,png,webp}; do # tagged with their formats and kinds: gray, palette, …
  name=$(basename "$image")
  printf '{"image": "%s", "tags": ["%s", "%s"]}\n' "$image" "${name##*.}" "${name%%[0-9_.]*}"
done > images.jsonl
cat > tiny.yaml << 'YAML'
model: {depth: 18, stem: small, width: 8, image_size: 16}
base: {epochs: 2, batch: 8, lr: 0.01}
partition: {experts: 2, pca: 2, tolerance: 0.5}
expert: {epochs: 1, batch: 8, lr: 0.01}
decoder: {epochs: 0, batch: 8}
run: {dataset: data, controls: []}
YAML
moe-ingest images.jsonl --out data --val-fraction 0.2 --min-tag-count 1 --quiet > ingest.json
moe-run tiny.yaml --out run --quiet > table.txt
moe-pack run --out pack --quiet > pack.json
