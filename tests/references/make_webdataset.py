#!/usr/bin/env python3
"""Makes tests/files/sources/webdataset/*.tar with the writer of the webdataset package, and expected.json
beside them: {tar: {key: tags}} as they were given to it. Needs webdataset (1.0.2 wrote those in the tree)
and Pillow.

  make_webdataset.py [tests/files/sources/webdataset]
"""
import io
import json
import pathlib
import sys

import webdataset
from PIL import Image

out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                   pathlib.Path(__file__).parent.parent / 'files/sources/webdataset')
out.mkdir(parents=True, exist_ok=True)
made = 0


def image(form='JPEG'):
    """A picture that no other one equals, encoded."""
    global made
    made += 1
    encoded = io.BytesIO()
    Image.new('RGB', (8, 6), (40 * made % 256, 90, 255 - 30 * made % 256)).save(encoded, form)
    return encoded.getvalue()


def write(name, samples):
    with webdataset.TarWriter(str(out / f'{name}.tar'), user='user', group='group', mtime=0) as writer:
        for key, fields in samples.items():
            writer.write({'__key__': key, **fields})


write('dots', {'a': {'jpg': image(), 'txt': 'dog'},
               'b.v2': {'jpg': image(), 'txt': 'cat'},
               'c.2024.01': {'png': image('PNG'), 'json': {'tags': ['x', 'big y']}},
               'folder.d/e': {'jpg': image(), 'txt': 'folder'}})
write('fields', {'mask': {'jpg': image(), 'seg.png': image('PNG'), 'txt': 'one'},
                 'way': {'input.jpg': image(), 'outputs.txt': 'two'},
                 'stereo': {'left.jpg': image(), 'right.jpg': image(), 'txt': 'three'},
                 'label': {'jpg': image(), 'cls': 3},
                 'array': {'jpg': image(), 'npy': b'numbers', 'json': {'tags': ['five']}}})
(out / 'expected.json').write_text(json.dumps({
    'dots': {'dots/a': ['dog'], 'dots/b_v2': ['cat'], 'dots/c_2024_01': ['x', 'big y'],
             'dots/folder.d/e': ['folder']},
    'fields': {'fields/mask': ['one'], 'fields/way': ['two'], 'fields/label': ['3'], 'fields/array': ['five']},
}, indent=1) + '\n')
