#!/usr/bin/env bash
# OpenCV 4.14.0 (opencv-python-headless 4.14.0.94; Debian 12's 4.6.0 does the same), valid images that it reads
# in another way than they are meant, or that one of its functions reads and the other does not. Each was made
# from known pixels, which Pillow 13.0.0 gives back.
#
# 1. An uncompressed tiled TIFF of 8-bit RGB: imread gives its pixels, imdecode of the same bytes gives None
#    ("Invalid tile byte count for tile 0. Expected 768, got 1024").
# 2. A 24-bit BMP with OS/2's header: IMREAD_COLOR gives its colours, IMREAD_UNCHANGED one channel of gray.
# 3. A 32-bit BMP with masks for red, green and blue and none for opacity: IMREAD_UNCHANGED gives four channels,
#    the fourth 0 everywhere, so whatever honours opacity shows nothing of it.
# 4. A JPEG 2000 in sYCC, lossless as Pillow writes YCbCr: colours differ by up to some 30 of 255 from Pillow's.
#
# Installs into a temporary folder; fails if what is seen differs. Not part of the tests.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install opencv-python-headless==4.14.0.94 pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
cat > try.py <<'PY'
import io, struct
import cv2, numpy, tifffile
from PIL import Image

W, H = 35, 26
y, x = numpy.mgrid[0:H, 0:W]
rgb = numpy.dstack([x * 7, y * 9, 255 - x * 3 - y * 4]).astype(numpy.uint8)
bgr = rgb[:, :, ::-1]


def decode(data, flag):
    return cv2.imdecode(numpy.frombuffer(data, numpy.uint8), flag)


def pillow(data):
    return numpy.array(Image.open(io.BytesIO(data)).convert('RGB'))


tifffile.imwrite('tiled.tif', rgb, photometric='rgb', tile=(16, 16))
data = open('tiled.tif', 'rb').read()
assert (pillow(data) == rgb).all()
read, decoded = cv2.imread('tiled.tif'), decode(data, cv2.IMREAD_COLOR)
print('tiled TIFF: imread', read.shape, 'imdecode', decoded)
assert (read == bgr).all() and decoded is None


def bmp(rows, depth, header):
    data = b''.join(reversed([row + b'\0' * (-len(row) % 4) for row in rows]))
    offset = 14 + len(header)
    return b'BM' + struct.pack('<IHHI', offset + len(data), 0, 0, offset) + header + data


data = bmp([row.tobytes() for row in bgr], 24, struct.pack('<IHHHH', 12, W, H, 1, 24))
assert (pillow(data) == rgb).all()
color, unchanged = decode(data, cv2.IMREAD_COLOR), decode(data, cv2.IMREAD_UNCHANGED)
print('OS/2 BMP: color', color.shape, 'unchanged', unchanged.shape)
assert (color == bgr).all() and unchanged.shape == (H, W)

masks = struct.pack('<III', 0xFF0000, 0xFF00, 0xFF)
header = struct.pack('<IiiHHIIiiII', 40, W, H, 1, 32, 3, 4 * W * H, 2835, 2835, 0, 0) + masks
data = bmp([row.tobytes() for row in numpy.dstack([bgr, numpy.zeros((H, W), numpy.uint8)])], 32, header)
assert (pillow(data) == rgb).all()
unchanged = decode(data, cv2.IMREAD_UNCHANGED)
print('BMP with three masks: unchanged', unchanged.shape, 'largest opacity', unchanged[:, :, 3].max())
assert unchanged.shape == (H, W, 4) and unchanged[:, :, 3].max() == 0

stream = io.BytesIO()
Image.fromarray(rgb).convert('YCbCr').save(stream, 'JPEG2000')
data = stream.getvalue()
difference = numpy.abs(decode(data, cv2.IMREAD_COLOR)[:, :, ::-1].astype(int) - pillow(data)).max()
print('sYCC JPEG 2000: differs from Pillow by up to', difference)
assert difference > 10
PY
OPENCV_LOG_LEVEL=SILENT "$work/venv/bin/python" try.py
echo "as described"
