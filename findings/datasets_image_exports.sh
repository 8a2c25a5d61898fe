#!/bin/bash
# Hugging Face datasets 5.2.0: exports of a data set with images that are valid calls and lose or refuse
# the images. Seen with pandas 3.1.1 and pyarrow 26.0.1:
#
# 1. Dataset.to_parquet stores a path and no bytes for images that are in files, without a warning:
#      {'bytes': None, 'path': 'photos/0.png'}
#    The Parquet file is of no use in another folder or on another machine: reading it there fails with
#      FileNotFoundError
#    push_to_hub embeds the bytes, to_parquet does not.
# 2. Dataset.to_json of the same data set with embedded images fails, by their bytes with either of
#      UnicodeDecodeError: 'utf-8' codec can't decode byte 0x89 in position …: invalid start byte
#      OverflowError: Unsupported UTF-8 sequence length when encoding string
# 3. Dataset.to_csv writes the column as text of Python, the image's bytes as b'\x89PNG…'.
#
# Installs into a temporary folder; fails if what is seen differs. Not part of the tests.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install datasets==5.2.0 pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6 pillow==13.0.0
export HF_HOME=$folder/cache HF_HUB_OFFLINE=1
cd "$folder"
cat > try.py <<'PY'
import csv, os
import datasets, numpy, pyarrow.parquet
from datasets.table import embed_table_storage
from PIL import Image

datasets.disable_progress_bars()
os.makedirs("photos")
Image.fromarray(numpy.full((4, 5, 3), 7, numpy.uint8)).save("photos/0.png")
features = datasets.Features({"image": datasets.Image(), "tags": datasets.List(datasets.Value("string"))})
data = datasets.Dataset.from_dict({"image": ["photos/0.png"], "tags": [["a"]]}, features)

data.to_parquet("data.parquet")
row = pyarrow.parquet.read_table("data.parquet").to_pylist()[0]["image"]
print("to_parquet:", row)
assert row == {"bytes": None, "path": "photos/0.png"}, row
os.makedirs("elsewhere")
os.rename("data.parquet", "elsewhere/data.parquet")
os.chdir("elsewhere")
try:
    datasets.Dataset.from_parquet("data.parquet")[0]["image"].load()
    raise SystemExit("reading it in another folder works now")
except FileNotFoundError as error:
    print("reading it in another folder:", type(error).__name__, error)
os.chdir("..")

embedded = data.with_format("arrow").map(embed_table_storage, batched=True).with_format(None)
embedded.to_parquet("embedded.parquet")
assert pyarrow.parquet.read_table("embedded.parquet").to_pylist()[0]["image"]["bytes"].startswith(b"\x89PNG")
try:
    embedded.to_json("data.jsonl")
    raise SystemExit("to_json of embedded images works now")
except (OverflowError, UnicodeDecodeError) as error:
    print("to_json:", type(error).__name__, error)

embedded.to_csv("data.csv")
cell = next(csv.DictReader(open("data.csv")))["image"]
print("to_csv:", cell[:40])
assert cell.startswith(r"{'bytes': b'\x89PNG\r\n"), cell
PY
"$folder/venv/bin/python" try.py
echo "as described"
