#!/usr/bin/env python3
"""Lists Debian's clip art with its keywords, a JSON line a picture, for moe-ingest.

  openclipart_tags.py > images.jsonl        (packages openclipart-png and openclipart-svg)

The pictures are the PNG files; their keywords are in the SVG files of the same relative path, in the
RDF metadata (dc:subject). Keywords are given as they are, empty and meaningless ones too: cleaning them
is moe-ingest's work. Left out: symbolic links, which show a picture a second time in another folder,
and pictures of more than --max-megapixels.
"""
import argparse
import gzip
import html
import json
import os
import re
import struct
import sys
import xml.etree.ElementTree as ElementTree

DC_SUBJECT = "{http://purl.org/dc/elements/1.1/}subject"
RDF_ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"


def keywords(svg):
    """The dc:subject items of an SVG file's bytes, in order; gzip and damaged XML are taken too."""
    if svg.startswith(b"\x1f\x8b"):
        svg = gzip.decompress(svg)
    try:
        subjects = list(ElementTree.fromstring(svg).iter(DC_SUBJECT))
        items = [item.text or "" for subject in subjects for item in subject.iter(RDF_ITEM)]
    except ElementTree.ParseError:
        text = svg.decode("utf-8", errors="replace")
        subjects = re.findall(r"<dc:subject\b[^>]*>(.*?)</dc:subject>", text, re.DOTALL)
        items = [html.unescape(item) for subject in subjects
                 for item in re.findall(r"<rdf:li\b[^>/]*>([^<]*)</rdf:li>", subject)]
    return [item.strip() for item in items]


def png_pixels(path):
    """Width times height from the header, without decoding; 0 if it is not a PNG."""
    with open(path, "rb") as file:
        head = file.read(24)
    if len(head) < 24 or not head.startswith(b"\x89PNG\r\n\x1a\n"):
        return 0
    width, height = struct.unpack(">II", head[16:])
    return width * height


def pictures(folder):
    """Paths of the PNG files relative to `folder`, sorted."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".png"):
                yield os.path.relpath(os.path.join(parent, name), folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default="/usr/share/openclipart",
                        help="folder with png/ and svg/ (%(default)s)")
    parser.add_argument("--max-megapixels", type=float, default=16,
                        help="largest picture listed (%(default)s)")
    options = parser.parse_args()
    png_root = os.path.join(options.root, "png")
    svg_root = os.path.join(options.root, "svg")
    for folder, package in ((png_root, "openclipart-png"), (svg_root, "openclipart-svg")):
        if not os.path.isdir(folder):
            sys.exit(f"{folder}: no such folder; install the package {package}, or give --root")

    counts = {"listed": 0, "links": 0, "too large": 0, "without an SVG": 0}
    for relative in pictures(png_root):
        png = os.path.abspath(os.path.join(png_root, relative))
        stem = relative[:-len(".png")]
        svg = next((path for path in (os.path.join(svg_root, stem + ".svg"),
                                      os.path.join(svg_root, stem + ".svgz"))
                    if os.path.exists(path)), None)
        if os.path.islink(png):
            counts["links"] += 1
        elif svg is None:
            counts["without an SVG"] += 1
        elif png_pixels(png) > options.max_megapixels * 1e6:
            counts["too large"] += 1
        else:
            with open(svg, "rb") as file:
                tags = keywords(file.read())
            print(json.dumps({"image": png, "key": stem, "tags": tags}))
            counts["listed"] += 1
    print("openclipart_tags.py: " + ", ".join(f"{n} {what}" for what, n in counts.items()),
          file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # the reader has seen enough, as with | head
        sys.stderr.close()
