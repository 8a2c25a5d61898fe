#!/usr/bin/env python3
"""Makes a folder of JPEGs for the loader's benchmark: random cuts of photographs, resized.

  make_jpegs.py OUT WIDTH HEIGHT COUNT QUALITY PHOTO…

OUT gets the folders 0 and 1 (a class each, as torchvision's ImageFolder wants them) and images.jsonl, as
moe-ingest reads it. 4:2:0, baseline, as cameras and web sites write them.
"""
import json
import pathlib
import sys

import numpy as np
from PIL import Image

out, width, height, count, quality = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:6])
photos = [Image.open(name).convert('RGB') for name in sys.argv[6:]]
rng = np.random.default_rng(1)
lines = []
for label in '01':
    (out / label).mkdir(parents=True, exist_ok=True)
for i in range(count):
    photo = photos[i % len(photos)]
    most = min(photo.width / width, photo.height / height)
    scale = most * rng.uniform(min(1, 1 / most), 1)
    w, h = int(width * scale), int(height * scale)
    left, top = rng.integers(0, photo.width - w + 1), rng.integers(0, photo.height - h + 1)
    cut = photo.resize((width, height), Image.BILINEAR, (left, top, left + w, top + h))
    name = f'{i % 2}/{i:05}.jpg'
    cut.save(out / name, quality=quality)
    lines.append(json.dumps({'image': str((out / name).resolve()), 'tags': [f'label{i % 2}']}))
(out / 'images.jsonl').write_text('\n'.join(lines) + '\n')
