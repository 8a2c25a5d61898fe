#!/usr/bin/env bash
# What img2dataset 1.47.0 does with a photograph's orientation, seen by running it on four of its
# usual inputs: one picture, stored on its side with EXIF orientation 6 ("turn by 90° clockwise"), as
# JPEG, PNG, WebP and AVIF.
#
# Whatever is re-encoded (the default) is stored as it lay, on its side, without EXIF: viewers and
# loaders show it so. The json's "exif" text keeps "Image Orientation": "Rotated 90 CW" of JPEG and WebP;
# of PNG and AVIF it is "{}", though their EXIF says the same, so nothing tells that they lie on their
# side. With --disable_all_reencoding the EXIF stays in the file.
#
# Needs python3 with venv, and PyPI. Fails if any of this is no longer so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet img2dataset==1.47.0 pillow==13.0.0 opencv-python-headless==4.14.0.94

cat > "$work/run.py" <<'PYTHON'
import http.server
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import threading

from PIL import Image

work = pathlib.Path(sys.argv[1])
(work / 'www').mkdir()
upright = Image.new('RGB', (48, 32), 'red')
upright.paste('blue', (0, 16, 48, 32))  # red above blue, wide
exif = Image.Exif()
exif[0x0112] = 6
kinds = ['jpg', 'png', 'webp', 'avif']
for kind in kinds:
    upright.transpose(Image.Transpose.ROTATE_90).save(work / 'www' / f'photo.{kind}', exif=exif)


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=work / 'www')

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
(work / 'urls.txt').write_text(
    ''.join(f'http://127.0.0.1:{server.server_port}/photo.{kind}\n' for kind in kinds))


def stored(name, *options):
    """(kind, size, EXIF orientation, the json's exif text) of each."""
    subprocess.run([work / 'venv/bin/img2dataset', '--url_list', work / 'urls.txt', '--output_folder',
                    work / name, '--output_format', 'webdataset', '--processes_count', '1',
                    '--thread_count', '1', *options], check=True, capture_output=True)
    tar = tarfile.open(work / name / '00000.tar')
    found = []
    for number, kind in enumerate(kinds):
        image = Image.open(io.BytesIO(tar.extractfile(f'{number:09}.jpg').read()))
        text = json.load(tar.extractfile(f'{number:09}.json'))['exif']
        found.append((kind, image.size, image.getexif().get(0x0112), text))
        print(f'{name}: {kind}: stored {image.size[0]}×{image.size[1]}, EXIF {found[-1][2]}, text {text}')
    return found


on_its_side = (32, 48)
words = '{"Image Orientation": "Rotated 90 CW"}'
assert stored('reencoded', '--resize_mode', 'no') == [
    ('jpg', on_its_side, None, words), ('png', on_its_side, None, '{}'),
    ('webp', on_its_side, None, words), ('avif', on_its_side, None, '{}')]
kept = stored('kept', '--resize_mode', 'no', '--disable_all_reencoding', 'True')
assert [(kind, orientation) for kind, _, orientation, _ in kept[:3]] == [
    ('jpg', 6), ('png', 6), ('webp', 6)], kept
print('as described')
PYTHON
"$work/venv/bin/python" "$work/run.py" "$work"
