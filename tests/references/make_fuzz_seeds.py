#!/usr/bin/env python3
"""Makes tests/files/fuzz: seeds of fuzz targets that read a part of a file, cut out of the stored files that
other tools wrote (make_photos.py, make_lists.py).

  make_fuzz_seeds.py
"""
import json
import pathlib
import shutil
import struct

files = pathlib.Path(__file__).parent.parent / 'files'
out = files / 'fuzz'
shutil.rmtree(out, ignore_errors=True)


def exif_of(jpeg):
    """The TIFF structure in a JPEG's first APP1 segment of that kind; None without one."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != 0xDA:
        length = struct.unpack('>H', jpeg[at + 2:at + 4])[0]
        body = jpeg[at + 4:at + 2 + length]
        if jpeg[at + 1] == 0xE1 and body.startswith(b'Exif\0\0'):
            return body[6:]
        at += 2 + length
    return None


(out / 'exif').mkdir(parents=True)
kept = set()
for file in sorted([*files.glob('photos/*.jpg'), *files.glob('images/*.jpg')]):
    tiff = exif_of(file.read_bytes())
    if tiff and tiff not in kept:
        kept.add(tiff)
        (out / 'exif' / f'{file.stem}.tif').write_bytes(tiff)

(out / 'list_text').mkdir()
texts = json.loads((files / 'lists/texts.json').read_text())
for number, case in enumerate(case for kind in texts.values() for case in kind if 'text' in case):
    (out / 'list_text' / f'{number:02}.txt').write_text(case['text'], newline='')
