#!/usr/bin/env python3
"""Makes tests/files/photos: small images with keywords and orientations, as real tools write them, and
expected.json with what real tools read of them. Needs exiftool, ImageMagick, exempi and Pillow (Debian:
libimage-exiftool-perl, imagemagick, exempi), Pillow 13, pillow-heif and pillow-jxl-plugin (PyPI);
img2dataset 1.47 for its tars, which stay as they are where it is not installed.

  make_photos.py [tests/files/photos]
"""
import http.server
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import zlib

from PIL import Image, PngImagePlugin

out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                   pathlib.Path(__file__).parent.parent / 'files/photos')
out.mkdir(parents=True, exist_ok=True)
for old in out.glob('*.*'):
    if old.suffix != '.tar':
        old.unlink()
expected = {}


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True).stdout


def keywords(name, *fields):
    """What exiftool reads of these fields, in their order and without repetitions."""
    found = []
    for field in fields:
        read = json.loads(run('exiftool', '-j', '-sep', '\x01', f'-{field}', out / name))[0]
        for value in str(read.get(field.split(':')[-1], '')).split('\x01'):
            for part in value.split(';') if field == 'XPKeywords' else [value]:
                if part and part not in found:
                    found.append(part)
    return found


def write(name, base, *options):
    run('exiftool', '-q', '-o', out / name, *options, base)


# --- keywords ---------------------------------------------------------------------------------------
picture = Image.new('RGB', (16, 12), (200, 40, 40))
with tempfile.TemporaryDirectory() as folder:
    jpg, png = pathlib.Path(folder) / 'base.jpg', pathlib.Path(folder) / 'base.png'
    picture.save(jpg)
    picture.save(png)
    subject = ['-XMP-dc:Subject=Beach', '-XMP-dc:Subject=Große Düne', '-XMP-dc:Subject=海']
    for base in (jpg, png):
        write(f'xmp{base.suffix}', base, *subject)
        expected[f'xmp{base.suffix}'] = keywords(f'xmp{base.suffix}', 'XMP:Subject')
    write('latin.jpg', jpg, '-IPTC:Keywords=Beach', '-IPTC:Keywords=Große Düne – 5 €')
    expected['latin.jpg'] = keywords('latin.jpg', 'IPTC:Keywords')
    write('utf8.jpg', jpg, '-IPTC:CodedCharacterSet=UTF8', '-IPTC:Keywords=Große Düne',
          '-IPTC:Keywords=海')
    expected['utf8.jpg'] = keywords('utf8.jpg', 'IPTC:Keywords')
    write('iptc.png', png, '-IPTC:Keywords=Beach', '-IPTC:Keywords=Dune')
    expected['iptc.png'] = keywords('iptc.png', 'IPTC:Keywords')
    run('convert', out / 'utf8.jpg', out / 'magick.png')
    expected['magick.png'] = keywords('magick.png', 'IPTC:Keywords')
    write('explorer.jpg', jpg, '-XPKeywords=Beach;Große Düne;海')
    expected['explorer.jpg'] = keywords('explorer.jpg', 'XPKeywords')
    write('three.jpg', jpg, '-XMP-dc:Subject=Beach', '-XMP-dc:Subject=Sea', '-IPTC:Keywords=Sea',
          '-IPTC:Keywords=Sky', '-XPKeywords=Sky;Sand')
    expected['three.jpg'] = keywords('three.jpg', 'XMP:Subject', 'IPTC:Keywords', 'XPKeywords')
    write('tree.jpg', jpg, '-XMP-dc:Subject=Paris', '-XMP-lr:HierarchicalSubject=Places|Europe|Paris',
          '-XMP-digiKam:TagsList=Places/Europe/Paris', '-XMP-digiKam:TagsList=Family')
    expected['tree.jpg'] = ['Places', 'Europe', 'Paris', 'Family']  # in any order: see the test
    write('windows.jpg', jpg, '-XMP-microsoft:LastKeywordXMP=Beach')
    expected['windows.jpg'] = keywords('windows.jpg', 'XMP:LastKeywordXMP')
    write('plain.jpg', jpg, '-Artist=Somebody')
    expected['plain.jpg'] = []
    run('exiftool', '-q', *subject, out / 'exiftool.xmp')
    expected['exiftool.xmp'] = keywords('exiftool.xmp', 'XMP:Subject')
    # Adobe's own toolkit writes the packet anew.
    (out / 'toolkit.xmp').write_bytes(run('exempi', '-x', out / 'xmp.jpg').split(b'\n', 1)[1])
    expected['toolkit.xmp'] = keywords('toolkit.xmp', 'XMP:Subject')
packet = run('exiftool', '-b', '-XMP', out / 'xmp.jpg')
picture.save(out / 'xmp.webp', lossless=True, xmp=packet)
expected['xmp.webp'] = keywords('xmp.webp', 'XMP:Subject')
texts = PngImagePlugin.PngInfo()
texts.add_itxt('XML:com.adobe.xmp', packet.decode(), zip=True)
picture.save(out / 'packed.png', pnginfo=texts)
expected['packed.png'] = keywords('packed.png', 'XMP:Subject')

# --- orientations -----------------------------------------------------------------------------------
types = {'BYTE': (1, 'B'), 'ASCII': (2, 'c'), 'SHORT': (3, 'H'), 'LONG': (4, 'I'), 'RATIONAL': (5, 'II'),
         'SBYTE': (6, 'b'), 'UNDEFINED': (7, 'B'), 'SSHORT': (8, 'h'), 'SLONG': (9, 'i'),
         'SRATIONAL': (10, 'ii'), 'FLOAT': (11, 'f'), 'DOUBLE': (12, 'd'), 'IFD': (13, 'I')}


def tiff(order, name, count):
    number, code = types[name]
    end = '<' if order == 'II' else '>'
    value = struct.pack(end + code, *((b'6',) if code == 'c' else (6, 1)[:len(code)])) * count
    field = value.ljust(4, b'\0') if len(value) <= 4 else struct.pack(end + 'I', 26)
    return (order.encode() + struct.pack(end + 'HIHHHI', 42, 8, 1, 0x0112, number, count) + field +
            bytes(4) + (value if len(value) > 4 else b''))


orientations = {}
with tempfile.TemporaryDirectory() as folder:
    picture.save(f'{folder}/base.jpg')
    start = pathlib.Path(f'{folder}/base.jpg').read_bytes()
    for order in ('II', 'MM'):
        for name in types:
            for count in (1,) if name == 'ASCII' else (1, 2):
                blob = tiff(order, name, count)
                segment = b'Exif\0\0' + blob
                file = pathlib.Path(f'{folder}/{order}{name}{count}.jpg')
                file.write_bytes(start[:2] + b'\xff\xe1' + struct.pack('>H', len(segment) + 2) + segment +
                                 start[2:])
                read = run('exiftool', '-n', '-s3', '-Orientation', file).decode().split()
                orientations[f'{order} {name} {count}'] = {'tiff': blob.hex(), 'exiftool': read[:1]}

# ImageMagick's older way of keeping EXIF in a PNG, which Pillow reads.
exif = Image.Exif()
exif[0x0112] = 6
data = exif.tobytes()
profile = f'\nexif\n{len(data):8}\n' + '\n'.join(data.hex()[i:i + 72] for i in range(0, 2 * len(data), 72))
for packed in (False, True):
    texts = PngImagePlugin.PngInfo()
    texts.add_text('Raw profile type exif', profile + '\n', zip=packed)
    name = f'raw_exif{int(packed)}.png'
    picture.save(out / name, pnginfo=texts)
    assert Image.open(out / name).getexif()[0x0112] == 6
# Only the packet says it, which Pillow takes.
for name, element in [('xmp_turned.jpg', False), ('xmp_turned.png', True), ('xmp_turned.webp', True)]:
    said = ('<rdf:Description rdf:about=""' + ('>' if element else ' tiff:Orientation="6"') +
            ('<tiff:Orientation>6</tiff:Orientation></rdf:Description>' if element else '/>'))
    packet = ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf='
              '"http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:tiff="http://ns.adobe.com/tiff/1.0/">' +
              said + '</rdf:RDF></x:xmpmeta>')
    if name.endswith('png'):
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt('XML:com.adobe.xmp', packet)
        picture.save(out / name, pnginfo=texts)
    else:
        picture.save(out / name, xmp=packet.encode())
    assert Image.open(out / name).getexif()[0x0112] == 6, name

# --- img2dataset ------------------------------------------------------------------------------------
undo = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}


def download(name, wanted, *options):
    """Photographs whose quarters are red, green, blue and yellow when upright, through img2dataset."""
    upright = Image.new('RGB', (48, 32))
    for x, y, colour in [(0, 0, (255, 0, 0)), (24, 0, (0, 255, 0)), (0, 16, (0, 0, 255)),
                         (24, 16, (255, 255, 0))]:
        upright.paste(colour, (x, y, x + 24, y + 16))
    with tempfile.TemporaryDirectory() as folder:
        for orientation in wanted:
            exif = Image.Exif()
            if orientation:
                exif[0x0112] = orientation
            stored = upright.transpose(undo[orientation]) if orientation in undo else upright
            stored.save(f'{folder}/{orientation}.jpg', quality=95, exif=exif)

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments):
                super().__init__(*arguments, directory=folder)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}'
        list_file = pathlib.Path(folder) / 'list.csv'
        list_file.write_text('url,caption\n' + ''.join(f'{url}/{i}.jpg,quarters\n' for i in wanted))
        program = pathlib.Path(sys.executable).parent / 'img2dataset'
        run(program, '--url_list', list_file, '--input_format', 'csv', '--url_col', 'url', '--caption_col',
            'caption', '--output_folder', f'{folder}/out', '--output_format', 'webdataset',
            '--processes_count', '1', '--thread_count', '1', *options)
        server.shutdown()
        shutil.copy(f'{folder}/out/00000.tar', out / name)


if (pathlib.Path(sys.executable).parent / 'img2dataset').exists():
    download('img2dataset.tar', range(9), '--resize_mode', 'keep_ratio', '--image_size', '16')
    download('img2dataset_webp.tar', (0, 6), '--resize_mode', 'no', '--encode_format', 'webp')
    download('img2dataset_kept.tar', (0, 3, 6), '--resize_mode', 'no', '--skip_reencode', 'True')

# --- other formats: the first bytes that their writers give them ------------------------------------
import pillow_heif  # noqa: E402  (registers HEIC)
import pillow_jxl  # noqa: E402,F401  (registers JPEG XL)

pillow_heif.register_heif_opener()
heads = {}
with tempfile.TemporaryDirectory() as folder:
    picture.save(f'{folder}/base.png')
    for extension, kind in [('jpg', 'JPEG'), ('png', 'PNG'), ('webp', 'WebP'), ('gif', 'GIF'), ('bmp', 'BMP'),
                            ('tif', 'TIFF'), ('avif', 'AVIF'), ('heic', 'HEIC'), ('jxl', 'JPEG XL'),
                            ('jp2', 'JPEG 2000'), ('j2k', 'JPEG 2000'), ('ico', 'ICO'), ('ppm', 'PNM'),
                            ('dds', 'DDS')]:
        picture.save(f'{folder}/a.{extension}')
        heads[f'Pillow .{extension}'] = [kind, pathlib.Path(f'{folder}/a.{extension}').read_bytes()[:64].hex()]
    for extension, kind in [('gif', 'GIF'), ('gif87', 'GIF'), ('bmp', 'BMP'), ('bmp2', 'BMP'), ('bmp3', 'BMP'),
                            ('tiff64', 'TIFF'), ('psd', 'PSD'), ('mng', 'MNG'), ('cur', 'ICO'),
                            ('hdr', 'Radiance HDR'), ('pbm', 'PNM'), ('pam', 'PNM')]:
        run('convert', f'{folder}/base.png', f'{extension}:{folder}/b')
        heads[f'ImageMagick {extension}:'] = [kind, pathlib.Path(f'{folder}/b').read_bytes()[:64].hex()]

(out / 'expected.json').write_text(json.dumps(
    {'keywords': expected, 'orientations': orientations, 'heads': heads}, ensure_ascii=False, indent=1) + '\n')
