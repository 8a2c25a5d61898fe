#!/usr/bin/env python3
"""Makes tests/files/foreign: small TIFF, BMP, JPEG 2000, GIF and AVIF files and, beside each, NAME.npy with
the H×W×3 uint8 pixels that are meant: those the file was made of where the format keeps them, else what
Pillow's decoders (libtiff, OpenJPEG, libavif) make of it, upright and over white.

refused/ has valid files of kinds that are refused by their headers, without pixels.

Made with Pillow 13.0.0, tifffile 2026.3.3, imagecodecs 2026.3.6, NumPy 2.4.6.

  make_foreign_images.py [tests/files/foreign]
"""
import io
import pathlib
import struct
import sys

import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageOps

out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                   pathlib.Path(__file__).parent.parent / 'files/foreign')
(out / 'refused').mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(11)
H, W = 26, 35
y, x = np.mgrid[0:H, 0:W]
smooth = np.dstack([x * 7, y * 9, 255 - x * 3 - y * 4]).astype(np.uint8)
rgb = (smooth.astype(int) + rng.integers(-6, 7, smooth.shape)).clip(0, 255).astype(np.uint8)
alpha = rng.integers(0, 256, (H, W), dtype=np.uint8)
alpha[:5] = 255
alpha[5:9] = 0
gray = rgb[:, :, 0]
deep = rgb.astype(np.uint16) * 257 - rng.integers(-100, 100, rgb.shape).clip(-100, 100).astype(int)
deep = deep.clip(0, 65535).astype(np.uint16)


def over_white(colors, opacity):
    colors, opacity = colors.astype(int), opacity.astype(int)[..., None]
    return ((colors * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def to8(values):
    return ((values.astype(int) * 255 + 32767) // 65535).astype(np.uint8)


def gray3(values):
    return np.repeat(values[:, :, None], 3, axis=2)


def by_pillow(data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if 'A' in image.getbands() or 'transparency' in image.info:
        rgba = np.array(image.convert('RGBA'))
        return over_white(rgba[:, :, :3], rgba[:, :, 3])
    return np.array(image.convert('RGB'))


def keep(name, data, expected=None):
    """`expected`: the pixels that are meant, where they are known without a decoder."""
    (out / name).write_bytes(data)
    pixels = by_pillow(data) if expected is None else expected
    np.save(out / f'{name.replace(".", "_")}.npy', np.ascontiguousarray(pixels.astype(np.uint8)))


def refuse(name, data):
    (out / 'refused' / name).write_bytes(data)


def pillow(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def tiff(pixels, **options):
    data = io.BytesIO()
    tifffile.imwrite(data, pixels, metadata=None, **options)
    return data.getvalue()


# TIFF
photo = Image.fromarray(rgb)
keep('rgb.tif', tiff(rgb, photometric='rgb'), rgb)
keep('rgb_big_endian.tif', tiff(rgb, photometric='rgb', byteorder='>'), rgb)
keep('bigtiff.tif', tiff(rgb, photometric='rgb', bigtiff=True), rgb)
keep('strips.tif', tiff(rgb, photometric='rgb', rowsperstrip=4, compression='zlib'), rgb)
keep('tiled.tif', tiff(rgb, photometric='rgb', tile=(16, 16), compression='zlib', predictor=True), rgb)
keep('tiled_plain.tif', tiff(rgb, photometric='rgb', tile=(16, 32)), rgb)
keep('planar.tif', tiff(np.moveaxis(rgb, 2, 0), photometric='rgb', planarconfig='separate'), rgb)
keep('lzw.tif', pillow(photo, 'TIFF', compression='tiff_lzw'), rgb)
keep('packbits.tif', pillow(photo, 'TIFF', compression='packbits'), rgb)
keep('jpeg.tif', pillow(photo, 'TIFF', compression='jpeg', quality=90))
keep('gray.tif', tiff(gray, photometric='minisblack'), gray3(gray))
keep('white_is_zero.tif', tiff(gray, photometric='miniswhite'), gray3(255 - gray))
keep('gray16.tif', tiff(deep[:, :, 0], photometric='minisblack'), gray3(to8(deep[:, :, 0])))
keep('white_is_zero16.tif', tiff(deep[:, :, 0], photometric='miniswhite'),
     gray3(to8(65535 - deep[:, :, 0])))
keep('rgb16.tif', tiff(deep, photometric='rgb'), to8(deep))
keep('rgb16_tiled.tif', tiff(deep, photometric='rgb', tile=(16, 16), compression='zlib'), to8(deep))
keep('rgba.tif', tiff(np.dstack([rgb, alpha]), photometric='rgb', extrasamples=['unassalpha']),
     over_white(rgb, alpha))
premultiplied = ((rgb.astype(int) * alpha[..., None] + 127) // 255).astype(np.uint8)
keep('rgba_premultiplied.tif',
     tiff(np.dstack([premultiplied, alpha]), photometric='rgb', extrasamples=['assocalpha']),
     premultiplied.astype(int) + 255 - alpha[..., None])
keep('rgbx.tif', tiff(np.dstack([rgb, alpha]), photometric='rgb', extrasamples=['unspecified']), rgb)
deep_alpha = alpha.astype(np.uint16) * 257
keep('rgba16.tif', tiff(np.dstack([deep, deep_alpha]), photometric='rgb', extrasamples=['unassalpha']),
     over_white(to8(deep), alpha))
deep_premultiplied = ((deep.astype(np.int64) * deep_alpha[..., None] + 32767) // 65535).astype(np.uint16)
keep('rgba16_premultiplied.tif',
     tiff(np.dstack([deep_premultiplied, deep_alpha]), photometric='rgb', extrasamples=['assocalpha']),
     to8(deep_premultiplied).astype(int) + 255 - alpha[..., None])
keep('gray_alpha.tif', tiff(np.dstack([gray, alpha]), photometric='minisblack', planarconfig='contig',
                            extrasamples=['unassalpha']), over_white(gray3(gray), alpha))
bits = (gray >> 7).astype(bool)
keep('bilevel.tif', pillow(Image.fromarray(bits), 'TIFF'), gray3(bits * 255))
keep('fax4.tif', pillow(Image.fromarray(bits), 'TIFF', compression='group4'), gray3(bits * 255))
palette = photo.quantize(16)
keep('palette.tif', pillow(palette, 'TIFF'), np.array(palette.convert('RGB')))
inks = np.dstack([255 - rgb, alpha // 4]).astype(np.uint8)
keep('cmyk.tif', tiff(inks, photometric='separated', planarconfig='contig'))
refuse('cmyk16.tif', tiff(inks.astype(np.uint16) * 257, photometric='separated', planarconfig='contig'))
refuse('gray_alpha16.tif', tiff(np.dstack([deep[:, :, 0], deep_alpha]), photometric='minisblack',
                                planarconfig='contig', extrasamples=['unassalpha']))
refuse('float.tif', tiff(gray.astype(np.float32) / 255, photometric='minisblack'))
refuse('thumbnail.tif', tiff(rgb, photometric='rgb', subfiletype=1))  # as cameras' raw files begin
refuse('lab.tif', tiff(rgb, photometric='cielab'))
four_bits = gray >> 4
keep('gray4.tif', tiff(four_bits, photometric='minisblack', bitspersample=4), gray3(four_bits * 17))
keep('planar16.tif', tiff(np.moveaxis(deep, 2, 0), photometric='rgb', planarconfig='separate'), to8(deep))
keep('two_pages.tif', pillow(
    photo, 'TIFF', save_all=True, append_images=[Image.fromarray(255 - rgb[:9])]), rgb)
for orientation in range(1, 9):
    keep(f'turned{orientation}.tif', tiff(rgb, photometric='rgb', extratags=[(274, 'H', 1, orientation, True)]))
keep('turned6_16.tif', tiff(deep, photometric='rgb', extratags=[(274, 'H', 1, 6, True)]),
     np.rot90(to8(deep), -1))
keep('turned6_tiled.tif', tiff(rgb, photometric='rgb', tile=(16, 16),
                               extratags=[(274, 'H', 1, 6, True)]), np.rot90(rgb, -1))
keep('turned5_gray.tif', tiff(gray, photometric='minisblack', extratags=[(274, 'H', 1, 5, True)]),
     gray3(gray.T))

# BMP
keep('rgb.bmp', pillow(photo, 'BMP'), rgb)
keep('gray.bmp', pillow(Image.fromarray(gray), 'BMP'), gray3(gray))
keep('palette.bmp', pillow(palette, 'BMP'), np.array(palette.convert('RGB')))
keep('bilevel.bmp', pillow(Image.fromarray(bits), 'BMP'), gray3(bits * 255))


def bmp(rows, depth, compression=0, header=40, palette_bytes=b'', masks=b'', top_down=False, height=H):
    """A BMP by Microsoft's description, for the kinds Pillow does not write."""
    if header == 12:
        head = struct.pack('<IHHHH', 12, W, height, 1, depth)
    else:
        head = struct.pack('<IiiHHIIiiII', header, W, -height if top_down else height, 1, depth, compression,
                           len(rows), 2835, 2835, 0, 0)
        head += masks.ljust(header - 40, b'\0')[:header - 40] if header > 40 else masks
    offset = 14 + len(head) + len(palette_bytes)
    return b'BM' + struct.pack('<IHHI', offset + len(rows), 0, 0, offset) + head + palette_bytes + rows


def padded(rows, up=True):
    rows = [row + b'\0' * (-len(row) % 4) for row in rows]
    return b''.join(reversed(rows) if up else rows)


bgr = rgb[:, :, ::-1]
keep('top_down.bmp', bmp(padded([r.tobytes() for r in bgr], up=False), 24, top_down=True), rgb)
keep('os2.bmp', bmp(padded([r.tobytes() for r in bgr]), 24, header=12), rgb)
keep('v5.bmp', bmp(padded([r.tobytes() for r in bgr]), 24, header=124), rgb)
bgrx = np.dstack([bgr, np.zeros_like(gray)])
keep('rgbx.bmp', bmp(padded([r.tobytes() for r in bgrx]), 32), rgb)
bgra = np.dstack([bgr, alpha])
masks = struct.pack('<IIII', 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
keep('rgba_v4.bmp', bmp(padded([r.tobytes() for r in bgra]), 32, 3, 108, masks=masks), over_white(rgb, alpha))
keep('rgba_v5.bmp', bmp(padded([r.tobytes() for r in bgra]), 32, 3, 124, masks=masks), over_white(rgb, alpha))
rgb_masks = struct.pack('<III', 0xFF0000, 0xFF00, 0xFF)
keep('bit_fields.bmp', bmp(padded([r.tobytes() for r in bgrx]), 32, 3, masks=rgb_masks), rgb)
rgbx = np.dstack([rgb, np.zeros_like(gray)])
reversed_masks = struct.pack('<IIII', 0xFF, 0xFF00, 0xFF0000, 0)
keep('rgbx_v4.bmp', bmp(padded([r.tobytes() for r in rgbx]), 32, 3, 108, masks=reversed_masks), rgb)
refuse('bit_fields_rgbx.bmp', bmp(padded([r.tobytes() for r in rgbx]), 32, 3, masks=reversed_masks[:12]))
five = (rgb >> 3).astype(np.uint16)
keep('rgb555.bmp', bmp(padded([r.astype('<u2').tobytes() for r in
                               (five[:, :, 0] << 10 | five[:, :, 1] << 5 | five[:, :, 2])]), 16))
keep('rgb565.bmp', bmp(padded([r.astype('<u2').tobytes() for r in (
    (rgb[:, :, 0] >> 3).astype(np.uint16) << 11 | (rgb[:, :, 1] >> 2).astype(np.uint16) << 5 |
    rgb[:, :, 2] >> 3)]), 16, 3, masks=struct.pack('<III', 0xF800, 0x7E0, 0x1F)))
index = np.array(palette)
colors = np.array(palette.getpalette()).reshape(-1, 3)[:16]
entries = b''.join(bytes([b, g, r, 0]) for r, g, b in colors.tolist()).ljust(1024, b'\0')
rle = b''
for row in index[::-1]:
    at = 0
    while at < W:
        end = at
        while end < W and row[end] == row[at]:
            end += 1
        rle += bytes([end - at, int(row[at])])
        at = end
    rle += b'\0\0'
rle += b'\0\1'
keep('rle8.bmp', bmp(rle, 8, 1, palette_bytes=entries), colors[index])
packed = [bytes((int(a) << 4 | int(b)) for a, b in zip(r[0::2], list(r[1::2]) + [0])) for r in index]
keep('palette4.bmp', bmp(padded(packed), 4, palette_bytes=entries[:64]), colors[index])

# JPEG 2000
keep('lossless.jp2', pillow(photo, 'JPEG2000'), rgb)
keep('lossless.j2k', pillow(photo, 'JPEG2000', no_jp2=True), rgb)
keep('lossy.jp2', pillow(photo, 'JPEG2000', irreversible=True, quality_layers=[20]))
keep('tiled.jp2', pillow(photo, 'JPEG2000', tile_size=(16, 16)), rgb)
keep('gray.jp2', pillow(Image.fromarray(gray), 'JPEG2000'), gray3(gray))
keep('rgba.jp2', pillow(Image.fromarray(np.dstack([rgb, alpha])), 'JPEG2000'), over_white(rgb, alpha))
refuse('gray_alpha.jp2', pillow(Image.fromarray(np.dstack([gray, alpha]), 'LA'), 'JPEG2000'))
refuse('sycc.jp2', pillow(photo.convert('YCbCr'), 'JPEG2000'))
twelve = deep[:, :, 0] >> 4
keep('gray12.jp2', imagecodecs.jpeg2k_encode(twelve, level=0, bitspersample=12, codecformat='jp2'),
     gray3((twelve.astype(int) * 255 + 2047) // 4095))
keep('gray16.jp2', pillow(Image.fromarray(deep[:, :, 0]), 'JPEG2000'), gray3(to8(deep[:, :, 0])))

# GIF
keep('palette.gif', pillow(palette, 'GIF', interlace=0), np.array(palette.convert('RGB')))
keep('interlaced.gif', pillow(palette, 'GIF', interlace=1), np.array(palette.convert('RGB')))
keep('transparent.gif', pillow(palette, 'GIF', transparency=3),
     np.where((index == 3)[..., None], 255, colors[index]))
keep('animated.gif', pillow(palette, 'GIF', save_all=True,
                            append_images=[Image.fromarray(255 - rgb).quantize(16)], duration=40),
     np.array(palette.convert('RGB')))
still = bytearray(pillow(palette, 'GIF', interlace=0))
still[6:10] = struct.pack('<HH', W + 6, H + 4)  # a canvas larger than the picture …
place = still.index(b',' + struct.pack('<HHHH', 0, 0, W, H))
still[place + 1:place + 5] = struct.pack('<HH', 2, 3)  # … which lies within it
canvas = np.full((H + 4, W + 6, 3), 255, np.uint8)
canvas[3:3 + H, 2:2 + W] = np.array(palette.convert('RGB'))
keep('canvas.gif', bytes(still), canvas)

# AVIF
keep('lossless.avif', pillow(photo, 'AVIF', quality=100, subsampling='4:4:4'))
keep('lossy.avif', pillow(Image.fromarray(smooth), 'AVIF', quality=70))
keep('gray.avif', pillow(Image.fromarray(gray), 'AVIF', quality=90))
keep('rgba.avif', pillow(Image.fromarray(np.dstack([smooth, np.minimum(255, 8 * x).astype(np.uint8)])), 'AVIF',
                         quality=90, subsampling='4:4:4'))
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    keep(f'turned{orientation}.avif', pillow(Image.fromarray(smooth), 'AVIF', quality=80,
                                              subsampling='4:4:4', exif=exif))
keep('animated.avif', pillow(Image.fromarray(smooth), 'AVIF', quality=80, subsampling='4:4:4', save_all=True,
                             append_images=[Image.fromarray(255 - smooth)], duration=40))

# Keywords
xmp = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>harbour</rdf:li>
<rdf:li>boats</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""
keep('keywords.tif', tiff(rgb[:8, :8], photometric='rgb', extratags=[
    (700, 'B', len(xmp), xmp, True), (0x9C9E, 'B', 18, 'sunset;a\0'.encode('utf-16-le'), True)]), rgb[:8, :8])
# As exiftool places it: a box of its own before the codestream's.
small = pillow(photo.crop((0, 0, 8, 8)), 'JPEG2000')
at = small.index(b'jp2c') - 4
box = b'uuid' + bytes.fromhex('BE7ACFCB97A942E89C71999491E3AFAC') + xmp
keep('keywords.jp2', small[:at] + struct.pack('>I', len(box) + 4) + box + small[at:], rgb[:8, :8])
