#!/usr/bin/env python3
"""Writes tests/files/lists: lists of images as pandas, NumPy, DuckDB, Python's json and Hugging Face's
datasets write them, and what they hold.

pip install pandas==3.1.1 numpy==2.4.6 pyarrow==26.0.1 datasets==5.2.0 duckdb pillow PyICU
"""
import csv
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import unicodedata

import datasets
import duckdb
import icu
import numpy
import pandas
from datasets.table import embed_table_storage
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1] / "files" / "lists"
ROOT.mkdir(exist_ok=True)
os.chdir(ROOT)  # paths in what is written are relative
TAGS = ["a", "b's", 'say "hi"', "new york", "café", "日本", "😀", "tab\there", "line\nbreak",
        "back\\slash", "a, b"]


def write_json(name, value):
    (ROOT / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def list_texts():
    """Lists as the text that a cell of to_csv holds."""
    def cell(value):
        text = pandas.DataFrame({"x": [value]}).to_csv(index=False)
        return next(iter(list(csv.reader(io.StringIO(text)))[1:]))[0]

    def duck(literal):
        return duckdb.sql(f"select {literal}::varchar").fetchall()[0][0]

    frame = pandas.DataFrame({"x": [TAGS, ["only"], []]})
    frame.to_parquet("x.parquet")
    back = pandas.read_parquet("x.parquet")["x"]
    os.remove("x.parquet")
    some = TAGS[:3]
    texts = [("list", cell(TAGS), TAGS), ("list of one", cell(["a"]), ["a"]), ("list of none", cell([]), []),
             ("tuple", cell(tuple(TAGS)), TAGS), ("tuple of one", cell(("a",)), ["a"]),
             ("set", cell({"b's"}), ["b's"]), ("set of none", cell(set()), []),
             ("frozenset", cell(frozenset({"a"})), ["a"]),
             ("list with None and nan", cell(["a", None, float("nan"), "b"]), ["a", "b"]),
             ("list of None", cell([None]), []), ("bytes", cell([b"a", b"b"]), ["a", "b"]),
             ("read back from Parquet", cell(back[0]), TAGS), ("one, from Parquet", cell(back[1]), ["only"]),
             ("none, from Parquet", cell(back[2]), []),
             ("array of objects", cell(numpy.array(["a", None, "b's"], dtype=object)), ["a", "b's"]),
             ("array of long texts", cell(numpy.array([f"tag number {i}" for i in range(40)])),
              [f"tag number {i}" for i in range(40)]),
             ("array's repr", repr(numpy.array(TAGS, dtype=object)), TAGS),
             ("array's repr, fixed width", repr(numpy.array(some)), some),
             ("list of NumPy's strings", cell([numpy.str_(tag) for tag in some]), some),
             ("array of StringDType", cell(numpy.array(some, dtype=numpy.dtypes.StringDType())), some),
             ("pandas array", cell(pandas.array(["a", "new york"])), ["a", "new york"]), ("Index", cell(pandas.Index(["a", "new york"])), ["a", "new york"]),
             ("json.dumps", json.dumps(TAGS), TAGS), ("json.dumps, no ASCII", json.dumps(TAGS, ensure_ascii=False), TAGS),
             ("DuckDB", duck("['b''s', 'new york', 'a, b', '[x]', NULL]"), ["b's", "new york", "a, b", "[x]"])]
    bare = [("array of integers", cell(numpy.array([1, 20, 3])), ["1", "20", "3"]),
            ("array of floats", cell(numpy.array([1., 2.5])), ["1", "2.5"]),
            ("list of integers", cell([1, 2]), ["1", "2"]),
            ("DuckDB, without quotes", duck("['a', 'new york']"), ["a", "new york"])]
    broken = [("dictionary", cell({"a": 0.9})), ("list of lists", cell([["a"], ["b"]])),
              ("shortened array", cell(numpy.array([f"tag{i}" for i in range(1500)]))),
              ("pandas array, not escaped", cell(pandas.array(["a", "b's"]))),
              ("series", cell(pandas.Series(["a", "b"]))), ("cut off", cell(TAGS)[:30])]
    write_json("texts.json", {"quoted": [{"by": by, "text": text, "tags": tags} for by, text, tags in texts],
                              "bare": [{"by": by, "text": text, "tags": tags} for by, text, tags in bare],
                              "broken": [{"by": by, "text": text} for by, text in broken]})


def tables():
    """TSVs by pandas in three quotings; expected.json has their tags by image."""
    texts = ["plain", "with\ttab", "with\nline", 'with "quotes"', '"all" quoted', "", 'a "b"\tc\nd']
    frame = pandas.DataFrame({"image": [f"{i}.png" for i in range(len(texts))], "tags": texts, "n": 1})
    frame.to_csv("minimal.tsv", sep="\t", index=False)
    frame.to_csv("all.tsv", sep="\t", index=False, quoting=csv.QUOTE_ALL)
    frame.to_csv("nonnumeric.tsv", sep="\t", index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    bare = ['24" tv', '"dog', 'dog"', '"cat" and dog', "plain", 'x "y']
    pandas.DataFrame({"image": [f"{i}.png" for i in range(len(bare))], "tags": bare}).to_csv(
        "none.tsv", sep="\t", index=False, quoting=csv.QUOTE_NONE)
    write_json("tables.json", {"quoted": texts, "bare": bare})


def python_json():
    lines = [{"image": "0.png", "tags": ["a"], "aesthetic": float("nan"), "deep": [{"x": [float("inf")]}]},
             {"image": "1.png", "tags": [10**25, 7], "score": float("-inf")},
             {"image": "2.png", "tags": ["a\ud83d"]}, {"image": "3.png", "tags": ["😀"], "caption": "\ud83d"},
             {"image": "4.png", "tags": "it's NaN, -Infinity \\ \"x\""}]
    (ROOT / "python.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def hugging_face():
    for i in range(3):
        Image.fromarray(numpy.full((4, 5, 3), 40 * i, numpy.uint8)).save(f"{i}.png")
    features = datasets.Features({"image": datasets.Image(), "tags": datasets.List(datasets.Value("string")),
                                  "label": datasets.ClassLabel(names=["cat", "golden retriever"])})
    data = datasets.Dataset.from_dict({"image": [f"{i}.png" for i in range(3)],
                                       "tags": [["a", "b's"], ["new york"], ["c"]], "label": [0, 1, 0]}, features)
    data.to_json("hugging_face.jsonl")
    data.to_csv("hugging_face.csv")
    embedded = data.with_format("arrow").map(embed_table_storage, batched=True).with_format(None)
    embedded.to_parquet("embedded.parquet")
    script = ROOT.parents[2] / "datasets" / "parquet" / "parquet_lines.py"
    (ROOT / "parquet.jsonl").write_bytes(
        subprocess.run([sys.executable, script, "embedded.parquet"], check=True, capture_output=True).stdout)
    os.remove("embedded.parquet")


def vocabulary():
    """tags.tsv of tags that a reader may take for something else, and what pandas reads of it."""
    tags = ["nan", "na", "n/a", "null", "none", "true", "007", "1e5", "-inf", '"quoted', 'say "hi"', '"', "'", "a,b",
            "#1", "c#", "new york", "日本", "😀", "\\n", "\\", "<na>", "|", ";"]
    (ROOT / "tags.tsv").write_text("id\ttag\tcount\n" + "".join(f"{i}\t{tag}\t{100 - i}\n" for i, tag in enumerate(tags)))
    read = pandas.read_csv("tags.tsv", sep="\t", keep_default_na=False, quoting=3, dtype={"tag": str})
    write_json("tags.json", read["tag"].tolist())


def casefold():
    """Strings and their NFKC_Casefold by ICU, in hexadecimal UTF-8."""
    fold = icu.Normalizer2.getNFKCCasefoldInstance().normalize
    assigned = [chr(c) for c in range(1, 0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    draw = random.Random(3)
    changed = [c for c in assigned if fold(c) != c]
    gone = [chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000 and fold(chr(c)) == ""]
    texts = ([f"x{c}y" for c in gone[:400] + gone[400::64]] + draw.sample(changed, 400) +
             ["".join(draw.choices(assigned, k=draw.randint(2, 6))) for _ in range(400)] +
             ["".join(draw.choices(changed, k=4)) for _ in range(200)])
    (ROOT / "casefold.txt").write_text(
        "".join(f"{text.encode().hex()} {fold(text).encode().hex()}\n" for text in texts))


list_texts()
tables()
python_json()
hugging_face()
casefold()
vocabulary()
