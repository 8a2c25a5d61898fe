#!/usr/bin/env bash
# webdataset 1.0.2: what TarWriter writes for keys with dots, WebDataset reads as other samples.
# Three samples with the keys "a.v1", "a.v2" and "b" are written without a word; the reader splits names at the
# first dot of their last part, so it yields two, "a" with the fields "v1.txt" and "v2.txt", and "b": the first
# two have become one sample, and no field is called "txt" in it.
# Seen 2026-11-28, Python 3.11. Fails if that is no longer so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install webdataset==1.0.2 numpy==2.4.6
cd "$work"
found=$("$work/venv/bin/python" - <<'PY'
import webdataset
with webdataset.TarWriter('keys.tar') as writer:
    for key, text in (('a.v1', 'one'), ('a.v2', 'two'), ('b', 'three')):
        writer.write({'__key__': key, 'txt': text})
for sample in webdataset.WebDataset('keys.tar', shardshuffle=False):
    print(sample['__key__'], *sorted(name for name in sample if not name.startswith('__')))
PY
)
expected=$'a v1.txt v2.txt\nb txt'
echo "read back: ${found//$'\n'/; }"
if [[ $found != "$expected" ]]; then
  echo "that is not what was seen (${expected//$'\n'/; })" >&2
  exit 1
fi
