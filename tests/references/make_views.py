#!/usr/bin/env python3
"""Makes tests/files/views: a picture with a photograph's spectrum as JPEGs of several kinds, and what Pillow
and torchvision make of parts of it. Needs Pillow, NumPy, torchvision (Debian: python3-torchvision).

  make_views.py [tests/files/views]

NAME.jpg        all of 4:2:0, 4:2:2, 4:4:4, progressive, gray; photo.jpg is the one the rest is made of
draft_D.npy     photo.jpg decoded by Pillow's draft mode at 1/D (libjpeg's reduced transforms)
resize_I.npy    case I of cases.json: Image.resize((width, height), BILINEAR, box) of a rectangle cut first
view_I.npy      case I: torchvision's resized_crop to size×size, mirrored where so said
"""
import json
import pathlib
import sys

import numpy as np
import torchvision.transforms.functional as F
from PIL import Image

out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                   pathlib.Path(__file__).parent.parent / 'files/views')
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(11)


def picture(height, width):
    """Amplitudes fall with frequency as in photographs; a few hard edges."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    fall = 1 / np.maximum(np.hypot(fy, fx), 1 / max(height, width))
    planes = [np.fft.irfft2(np.fft.rfft2(rng.standard_normal((height, width))) * fall, (height, width))
              for _ in range(4)]
    luma = 128 + 45 * planes[0] / planes[0].std()
    rgb = np.stack([luma + 15 * p / p.std() for p in planes[1:]], axis=2)
    rgb[height // 5:height // 2, width // 3:width // 2] += 70
    rgb[-height // 4:, :width // 6] = (200, 30, 60)
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))


photo = picture(243, 325)
photo.save(out / 'photo.jpg', quality=85)
small = picture(117, 149)
small.save(out / 'half.jpg', quality=90, subsampling='4:2:2')
small.save(out / 'full.jpg', quality=90, subsampling='4:4:4')
small.save(out / 'quarter.jpg', quality=90, subsampling='4:2:0')
small.save(out / 'progressive.jpg', quality=90, progressive=True)
small.convert('L').save(out / 'gray.jpg', quality=90)
exif = Image.Exif()
exif[0x0112] = 6
small.save(out / 'turned.jpg', quality=90, exif=exif)

photo = Image.open(out / 'photo.jpg')
photo.load()
for reduction in (2, 4, 8):
    draft = Image.open(out / 'photo.jpg')
    draft.draft('RGB', (photo.width // reduction, photo.height // reduction))
    draft.load()
    assert draft.width == (photo.width + reduction - 1) // reduction, draft.size
    np.save(out / f'draft_{reduction}.npy', np.array(draft))

resizes = []
for left, top, width, height, box, to in [
        (0, 0, 325, 243, None, (32, 24)),  # more than tenfold
        (17, 30, 100, 90, None, (47, 60)),  # shrinks a little
        (200, 100, 40, 30, None, (64, 64)),  # grows
        (50, 60, 64, 48, None, (64, 24)),  # one axis only
        (31, 5, 3, 5, None, (24, 7)),  # hardly anything
        (40, 40, 33, 1, None, (5, 5)),
        (10, 20, 120, 100, (0.5, 0.25, 119.75, 99.5), (50, 40))]:  # fractions of pixels
    cut = photo.crop((left, top, left + width, top + height))
    np.save(out / f'resize_{len(resizes)}.npy', np.array(cut.resize(to, Image.BILINEAR, box)))
    box = box or (0, 0, width, height)
    resizes.append({'region': [top, left, height, width], 'to': [to[1], to[0]],
                    'box': [box[1], box[0], box[3] - box[1], box[2] - box[0]]})

views = []
for top, left, height, width, size, mirror in [
        (40, 21, 150, 190, 96, False), (0, 0, 243, 325, 128, True), (100, 200, 60, 70, 96, True),
        (3, 7, 230, 300, 64, False), (3, 7, 230, 300, 28, True)]:
    view = F.resized_crop(photo, top, left, height, width, [size, size])
    np.save(out / f'view_{len(views)}.npy', np.array(F.hflip(view) if mirror else view))
    views.append({'region': [top, left, height, width], 'size': size, 'mirror': mirror})
(out / 'cases.json').write_text(json.dumps({'resizes': resizes, 'views': views}, indent=1) + '\n')
