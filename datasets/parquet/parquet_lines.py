#!/usr/bin/env python3
"""Prints the rows of Parquet files as JSON lines for `moe-ingest -`.

    python3 datasets/parquet/parquet_lines.py FILE.parquet … | moe-ingest - --out DIR

Needs pyarrow (pip install pyarrow). Bytes become base64: a column of images as Hugging Face's datasets
store it is {"bytes", "path"}, a column of bare bytes (img2dataset's "jpg") is {"bytes"}. Numbers of a
ClassLabel become their names, by the metadata that datasets writes.
"""
import argparse
import base64
import datetime
import decimal
import json
import sys

try:
    import pyarrow.parquet
except ImportError:
    pyarrow = None


def class_names(schema):
    """Names of ClassLabel columns, by column."""
    text = (schema.metadata or {}).get(b"huggingface")
    features = json.loads(text).get("info", {}).get("features", {}) if text else {}
    names = {}
    for column, feature in features.items():
        inner = feature.get("feature", feature) if isinstance(feature, dict) else {}
        if isinstance(inner, dict) and inner.get("_type") == "ClassLabel":
            names[column] = inner["names"]
    return names


def named(value, names):
    """The names of a ClassLabel's number or of a list of them; -1 stands for none."""
    numbers = value if isinstance(value, list) else [value]
    return [names[number] for number in numbers if number is not None and number >= 0]


def plain(value):
    """What json cannot write, as what it can."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal)):
        return str(value)
    return value


def lines(file, columns=None):
    """JSON lines of a file's rows, a few at a time: rows with images are large."""
    with pyarrow.parquet.ParquetFile(file) as table:
        names = class_names(table.schema_arrow)
        for batch in table.iter_batches(batch_size=64, columns=columns):
            for row in batch.to_pylist():
                record = {}
                for column, value in row.items():
                    if column in names:
                        value = named(value, names[column])
                    record[column] = {"bytes": plain(value)} if isinstance(value, bytes) else plain(value)
                yield json.dumps(record)


def main():
    parser = argparse.ArgumentParser(description="Print the rows of Parquet files as JSON lines.")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--columns", help="only these, with commas between (default: all)")
    arguments = parser.parse_args()
    if pyarrow is None:
        sys.exit("parquet_lines.py: needs pyarrow (pip install pyarrow)")
    columns = arguments.columns.split(",") if arguments.columns else None
    try:
        for file in arguments.files:
            for line in lines(file, columns):
                print(line)
    except BrokenPipeError:
        sys.exit("parquet_lines.py: what reads the pipe has ended")


if __name__ == "__main__":
    main()
