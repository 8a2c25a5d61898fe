#!/usr/bin/env python3
"""Makes tests/files/images: small encoded images and, beside each, NAME.npy with the H×W×3 uint8 pixels
that Pillow and NumPy get out of it. Needs Pillow with WebP (Debian: python3-pil, python3-numpy) and
ImageMagick; OpenCV and torchvision, where they are, are asked what they read of CMYK.

  make_images.py [tests/files/images]
"""
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

import numpy as np
from PIL import Image, ImageOps

out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                   pathlib.Path(__file__).parent.parent / 'files/images')
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(7)
H, W = 13, 17


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def scanlines(pixels, depth):
    """Unfiltered PNG rows of an H×W×C array."""
    h = pixels.shape[0]
    if depth == 16:
        rows = pixels.astype('>u2').reshape(h, -1).view(np.uint8)
    elif depth == 8:
        rows = pixels.astype(np.uint8).reshape(h, -1)
    else:
        bits = np.unpackbits(pixels.astype(np.uint8).reshape(h, -1, 1), axis=2)[:, :, 8 - depth:]
        rows = np.packbits(bits.reshape(h, -1), axis=1)
    return b''.join(b'\0' + row.tobytes() for row in rows)


def png(pixels, depth, color, extra=b'', interlaced=False):
    """A PNG by the specification, for the kinds Pillow does not write."""
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    h, w = pixels.shape[:2]
    if interlaced:  # Adam7
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
                  (1, 0, 2, 1)]
        raw = b''.join(scanlines(pixels[y::dy, x::dx], depth) for y, x, dy, dx in passes
                       if pixels[y::dy, x::dx].size)
    else:
        raw = scanlines(pixels, depth)
    head = struct.pack('>IIBBBBB', w, h, depth, color, 0, 0, int(interlaced))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + extra + chunk(b'IDAT', zlib.compress(raw)) +
            chunk(b'IEND', b''))


def over_white(rgb, alpha):
    rgb, alpha = rgb.astype(int), alpha.astype(int)[..., None]
    return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def to8(values):
    return ((values.astype(int) * 255 + 32767) // 65535).astype(np.uint8)


def gray3(gray):
    return np.repeat(gray[:, :, None], 3, axis=2)


def save(name, data, expected):
    (out / name).write_bytes(data)
    np.save(out / (pathlib.Path(name).stem + '.npy'), np.ascontiguousarray(expected.astype(np.uint8)))


rgb = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
alpha = rng.integers(0, 256, (H, W), dtype=np.uint8)
gray = rgb[:, :, 0]
rgba = np.dstack([rgb, alpha])

save('rgb.png', png(rgb, 8, 2), rgb)
save('rgba.png', png(rgba, 8, 6), over_white(rgb, alpha))
save('rgba_interlaced.png', png(rgba, 8, 6, interlaced=True), over_white(rgb, alpha))
save('rgb_interlaced.png', png(rgb, 8, 2, interlaced=True), rgb)
for h, w in [(1, 1), (1, 6), (6, 1), (2, 5), (5, 3), (9, 8)]:  # some passes have no pixels
    save(f'adam7_{h}x{w}.png', png(rgba[:h, :w], 8, 6, interlaced=True),
         over_white(rgb[:h, :w], alpha[:h, :w]))
save('gray.png', png(gray, 8, 0), gray3(gray))
save('gray_alpha.png', png(np.dstack([gray, alpha]), 8, 4), over_white(gray3(gray), alpha))
save('bilevel.png', png(gray >> 7, 1, 0), gray3((gray >> 7) * 255))
save('gray4.png', png(gray >> 4, 4, 0), gray3((gray >> 4) * 17))
deep = rng.integers(0, 65536, (H, W, 3))
save('rgb16.png', png(deep, 16, 2), to8(deep))
save('gray16.png', png(deep[:, :, 0], 16, 0), gray3(to8(deep[:, :, 0])))
deep_alpha = rng.integers(0, 65536, (H, W))
save('rgba16.png', png(np.dstack([deep, deep_alpha]), 16, 6), over_white(to8(deep), to8(deep_alpha)))
colors = rng.integers(0, 256, (16, 3), dtype=np.uint8)
index = rng.integers(0, 16, (H, W))
palette = chunk(b'PLTE', colors.tobytes())
save('palette.png', png(index, 8, 3, palette), colors[index])
opacity = rng.integers(0, 256, 16, dtype=np.uint8)
save('palette_alpha.png', png(index, 4, 3, palette + chunk(b'tRNS', opacity.tobytes())),
     over_white(colors[index], opacity[index]))
keyed = rgb.copy()
keyed[2:5, 3:9] = (10, 200, 30)
key = chunk(b'tRNS', struct.pack('>HHH', 10, 200, 30))
save('color_key.png', png(keyed, 8, 2, key),
     over_white(keyed, np.where((keyed == (10, 200, 30)).all(axis=2), 0, 255)))
# A colour profile that libpng warns about; the pixels are good.
save('bad_profile.png', png(rgb, 8, 2, chunk(b'iCCP', b'x\0\0' + zlib.compress(b'not a profile'))), rgb)


def jpeg(image, name, **options):
    image.save(out / name, 'JPEG', quality=90, **options)
    upright = ImageOps.exif_transpose(Image.open(out / name))
    np.save(out / (pathlib.Path(name).stem + '.npy'), np.array(upright.convert('RGB')))


y, x = np.mgrid[0:H, 0:W]
smooth = np.dstack([x * 15, y * 19, 255 - x * 7 - y * 6]).astype(np.uint8)
picture = Image.fromarray(smooth)
jpeg(picture, 'color.jpg')
jpeg(picture, 'progressive.jpg', progressive=True)
jpeg(picture.convert('L'), 'gray_jpeg.jpg')
inks = np.dstack([smooth, 255 - smooth[:, :, 0] // 2 - smooth[:, :, 1] // 2]).astype(np.uint8)


def without_adobe(data):
    """The JPEG without its segment APP14, which says how colours are meant."""
    at, kept = 2, data[:2]
    while data[at + 1] != 0xDA:
        length = 2 + int.from_bytes(data[at + 2:at + 4], 'big')
        if data[at + 1] != 0xEE:
            kept += data[at:at + length]
        at += length
    return kept + data[at:]


def four_inks(name):
    """What is read of a CMYK JPEG, by Pillow; that others read it so, too, is checked."""
    path = out / f'{name}.jpg'
    read = 255 - np.array(Image.open(path)).astype(int)
    pixels = ((read[:, :, :3] * read[:, :, 3:] + 127) // 255).astype(np.uint8)
    others = {'Pillow': np.array(Image.open(path).convert('RGB'))}
    try:
        import cv2
        others['OpenCV'] = cv2.imread(str(path))[:, :, ::-1]
        import torch
        from torchvision.io import ImageReadMode, decode_jpeg
        encoded = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
        others['torchvision'] = decode_jpeg(encoded, ImageReadMode.RGB).permute(1, 2, 0).numpy()
    except ImportError as error:
        print(f'{name}: {error}')
    for tool, rgb8 in others.items():
        difference = np.abs(rgb8.astype(int) - pixels).max()
        assert difference <= 3, (name, tool, difference)
    np.save(out / f'{name}.npy', pixels)


Image.fromarray(inks, 'CMYK').save(out / 'cmyk.jpg', 'JPEG', quality=95)
with tempfile.NamedTemporaryFile(suffix='.tif') as tiff:
    Image.fromarray(inks, 'CMYK').save(tiff.name)
    subprocess.run(['convert', tiff.name, '-quality', '95', out / 'ycck.jpg'], check=True)
four_inks('cmyk')
four_inks('ycck')
for name in ['cmyk', 'ycck']:
    (out / f'{name}_plain.jpg').write_bytes(without_adobe((out / f'{name}.jpg').read_bytes()))
    four_inks(f'{name}_plain')
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg(picture, f'exif{orientation}.jpg', exif=exif)
exif = Image.Exif()
exif[0x0112] = 6
save('exif_png.png', png(rgb, 8, 2, chunk(b'eXIf', exif.tobytes()[6:])), np.rot90(rgb, -1))

Image.fromarray(rgb).save(out / 'lossless.webp', lossless=True)
np.save(out / 'lossless.npy', rgb)
Image.fromarray(rgba).save(out / 'alpha.webp', lossless=True, exact=True)
np.save(out / 'alpha.npy', over_white(rgb, alpha))
picture.save(out / 'lossy.webp', quality=80)
np.save(out / 'lossy.npy', np.array(Image.open(out / 'lossy.webp').convert('RGB')))
Image.fromarray(rgb).save(out / 'exif_webp.webp', lossless=True, exif=exif)
np.save(out / 'exif_webp.npy', np.rot90(rgb, -1))
