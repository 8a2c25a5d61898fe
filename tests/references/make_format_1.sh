#!/usr/bin/env bash
# tests/files/format_1: a dataset, a base (without its weights), its embedding, a partition and a
# decoder as hardmoe 0.1.0 wrote them before these files carried format numbers.
#   make_format_1.sh BIN OUT     BIN: the commands of commit 846da71; OUT: a folder that is not there yet
set -euo pipefail
bin=$(realpath "$1") out=$2
mkdir -p "$out/images"
python3 - "$out" <<'PYTHON'
import json, struct, sys, zlib

def png(pixels, side):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes(pixels[y * side * 3:(y + 1) * side * 3]) for y in range(side))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))

colours = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}
with open(f"{sys.argv[1]}/images.jsonl", "w") as lines:
    for i in range(24):
        name = list(colours)[i % 3]
        shade = i // 3
        pixels = [max(0, value - 9 * shade) for _ in range(64) for value in colours[name]]
        with open(f"{sys.argv[1]}/images/{i:02}.png", "wb") as file:
            file.write(png(pixels, 8))
        tags = [name, "dark" if shade > 3 else "light"]
        lines.write(json.dumps({"image": f"images/{i:02}.png", "tags": tags, "truth": tags[:1]}) + "\n")
PYTHON
cd "$out"
cat > config.yaml <<'YAML'
model: {depth: 18, stem: small, width: 8, image_size: 8}
base: {epochs: 2, batch: 8, lr: 0.01, loss: sigmoid, augment: {crop: center}}
partition: {experts: 2, pca: 2}
expert: {epochs: 1, batch: 8, lr: 1.0e-9, momentum: 0, nesterov: false, weight_decay: 0, loss: sigmoid, augment: {crop: center}}
decoder: {epochs: 1, batch: 8, lr: 0.01, loss: sigmoid}
YAML
common=(--config config.yaml --quiet --threads 1)
mixture=(--base base --partition partition --experts experts)
"$bin/moe-ingest" images.jsonl --out data --val-fraction 0.25 --quiet > /dev/null
"$bin/moe-train-base" data --out base "${common[@]}" > /dev/null
"$bin/moe-embed" data --model base --out embedding "${common[@]}" > /dev/null
"$bin/moe-partition" embedding --out partition "${common[@]}" > /dev/null
for k in 0 1; do
  "$bin/moe-train-expert" data --base base --partition partition --expert $k --out experts/$k "${common[@]}" > /dev/null
done
"$bin/moe-train-decoder" data "${mixture[@]}" --out decoder "${common[@]}" > /dev/null
# No path of the machine that made it: the list's is replaced, and its checksums with it.
python3 - <<'PYTHON'
import hashlib

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return f"{crc ^ 0xFFFFFFFF:08x}"
folder = "data"
old = open(f"{folder}/inputs.tsv", "rb").read()
fields = old.split(b"\t"); fields[2] = b"/data/" + fields[2].rsplit(b"/", 1)[1]
new = b"\t".join(fields)
stage = open(f"{folder}/stage.json").read()
for was, now in ((hashlib.sha256(old).hexdigest(), hashlib.sha256(new).hexdigest()), (crc32c(old), crc32c(new))):
    assert was in stage, was
    stage = stage.replace(was, now)
open(f"{folder}/inputs.tsv", "wb").write(new)
open(f"{folder}/stage.json", "w").write(stage)
PYTHON
# Weights are left out, but for the decoder's: they are large, and as they were.
rm -rf images images.jsonl experts eval base/model.safetensors base/log.jsonl base/events* base/config.yaml
rm -rf decoder/log.jsonl decoder/events* decoder/config.yaml ./*/.lock
