#!/usr/bin/env python3
"""Prints Open Images' image-level labels as JSON lines for `moe-ingest -`, an image a line.

    openimages_tags.py LABELS.csv … --names CLASS-DESCRIPTIONS.csv | moe-ingest - --images train/ --out DIR

Rows of Confidence 0 say that a label is not on the image: they are left out and counted. Rows that
follow one another and name one image are one line.
"""
import argparse
import csv
import gzip
import itertools
import json
import sys


def open_text(path):
    if path == "-":
        return sys.stdin
    return gzip.open(path, "rt", newline="") if path.endswith(".gz") else open(path, newline="", encoding="utf-8")


def read_names(path):
    """LabelName → DisplayName; the file has a heading or none."""
    with open_text(path) as file:
        return {row[0]: row[1] for row in csv.reader(file) if len(row) >= 2 and row[0] != "LabelName"}


def lines(file, names, least):
    """Yields (JSON line or None, rows that are absent labels) an image."""
    for image, rows in itertools.groupby(csv.DictReader(file), key=lambda row: row["ImageID"]):
        tags, absent = [], 0
        for row in rows:
            if float(row["Confidence"]) >= least:
                tags.append(names.get(row["LabelName"], row["LabelName"]))
            else:
                absent += 1
        tags = list(dict.fromkeys(tags))
        yield (json.dumps({"image": image, "tags": tags}) if tags else None), absent


def main():
    parser = argparse.ArgumentParser(description="Print Open Images' labels as JSON lines.")
    parser.add_argument("labels", nargs="+", metavar="LABELS", help="CSV with ImageID,Source,LabelName,Confidence")
    parser.add_argument("--names", metavar="CSV", help="class descriptions: LabelName,DisplayName")
    parser.add_argument("--min-confidence", type=float, default=0.5, metavar="P",
                        help="leave out labels below (default 0.5; human ones are 0 or 1)")
    arguments = parser.parse_args()
    names = read_names(arguments.names) if arguments.names else {}
    images = without = absent = 0
    try:
        for path in arguments.labels:
            with open_text(path) as file:
                for line, left_out in lines(file, names, arguments.min_confidence):
                    absent += left_out
                    if line is None:
                        without += 1
                        continue
                    print(line)
                    images += 1
    except BrokenPipeError:
        sys.exit("openimages_tags.py: what reads the pipe has ended")
    print(f"{images} images with labels, {without} without; {absent} absent labels left out", file=sys.stderr)


if __name__ == "__main__":
    main()
