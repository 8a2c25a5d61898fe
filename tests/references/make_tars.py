#!/usr/bin/env python3
"""Makes tests/files/tars: archives as Python's tarfile writes them, and NAME.json with where it finds
the bytes of their regular files: [[name, offset, size], …].

links.json has each link with the place of the bytes that extractfile gives, or null.

  make_tars.py [tests/files/tars]
"""
import io
import json
import pathlib
import sys
import tarfile

out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / 'files/tars')
out.mkdir(parents=True, exist_ok=True)

members = [('000000.jpg', b'\xff\xd8' + b'a' * 600), ('000000.json', b'{"tags": ["a"]}'),
           ('empty.txt', b''), ('block.txt', b'x' * 512),
           ('folder/with/' + 'd' * 90 + '/' + 'f' * 80 + '.png', b'prefix'),
           ('n' * 130 + '.png', b'no slash to split at'), ('caf\u00e9/\u732b.jpg', b'unicode')]


def add(tar, name, data=b'', **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


def listing(name):
    with tarfile.open(out / f'{name}.tar') as tar:
        found = [[m.name, m.offset_data, m.size] for m in tar.getmembers() if m.isreg()]
    (out / f'{name}.json').write_text(json.dumps(found))


for name, form in (('ustar', tarfile.USTAR_FORMAT), ('gnu', tarfile.GNU_FORMAT), ('pax', tarfile.PAX_FORMAT)):
    with tarfile.open(out / f'{name}.tar', 'w', format=form) as tar:
        add(tar, 'folder', type=tarfile.DIRTYPE)
        for path, data in members:
            if form == tarfile.USTAR_FORMAT and path.startswith('n'):
                continue  # ustar cannot hold it
            add(tar, path, data)
        add(tar, 'link', type=tarfile.SYMTYPE, linkname='000000.jpg')
        add(tar, 'hard', type=tarfile.LNKTYPE, linkname='000000.jpg')
        add(tar, 'last.txt', b'the end')
    listing(name)

# A pax archive with a global header, times with fractions and other attributes to pass over.
with tarfile.open(out / 'pax_extra.tar', 'w', format=tarfile.PAX_FORMAT, pax_headers={'comment': 'all'}) as tar:
    add(tar, 'a.txt', b'1', mtime=1.5, pax_headers={'SCHILY.xattr.user.x': 'y=z\nw'})
    add(tar, 'b.txt', b'22')
listing('pax_extra')

# GNU's numbers in base 256, which it writes where octal digits do not suffice.
with tarfile.open(out / 'base256.tar', 'w', format=tarfile.GNU_FORMAT) as tar:
    add(tar, 'a.txt', b'123', uid=1 << 40)
    add(tar, 'b.txt', b'4567')
raw = bytearray((out / 'base256.tar').read_bytes())
raw[124:136] = b'\x80' + (3).to_bytes(11, 'big')
raw[148:156] = b' ' * 8
raw[148:156] = b'%06o\0 ' % sum(raw[:512])
(out / 'base256.tar').write_bytes(raw)
listing('base256')

# Links, also to links, with long names, back and forth, and to what is not there.
with tarfile.open(out / 'links.tar', 'w', format=tarfile.GNU_FORMAT) as tar:
    add(tar, 'a/one.jpg', b'1')
    add(tar, 'a/same.jpg', type=tarfile.SYMTYPE, linkname='one.jpg')
    add(tar, 'b/up.jpg', type=tarfile.SYMTYPE, linkname='../a/./one.jpg')
    add(tar, 'b/hard.jpg', type=tarfile.LNKTYPE, linkname='a/one.jpg')
    add(tar, 'b/chain.jpg', type=tarfile.SYMTYPE, linkname='up.jpg')
    add(tar, 'early.jpg', type=tarfile.SYMTYPE, linkname='late.jpg')
    add(tar, 'hard_early.jpg', type=tarfile.LNKTYPE, linkname='late.jpg')
    add(tar, 'late.jpg', b'first of this name')
    add(tar, 'hard_late.jpg', type=tarfile.LNKTYPE, linkname='late.jpg')
    add(tar, 'late.jpg', b'second of this name')
    add(tar, 'long.jpg', type=tarfile.SYMTYPE, linkname='n' * 130 + '.jpg')
    add(tar, 'n' * 130 + '.jpg', b'a long name')
    add(tar, 'l' * 130 + '.jpg', type=tarfile.LNKTYPE, linkname='n' * 130 + '.jpg')
    add(tar, 'gone.jpg', type=tarfile.SYMTYPE, linkname='nothing.jpg')
    add(tar, 'outside.jpg', type=tarfile.SYMTYPE, linkname='../../elsewhere.jpg')
    add(tar, 'folder', type=tarfile.DIRTYPE)
    add(tar, 'to_folder', type=tarfile.SYMTYPE, linkname='folder')
with tarfile.open(out / 'links.tar') as tar:
    found = []
    for member in tar.getmembers():
        if not (member.islnk() or member.issym()):
            continue
        place = None
        try:
            if (file := tar.extractfile(member)) is not None:
                data = file.read()
                place = [next(m.offset_data for m in tar.getmembers()
                              if m.isreg() and tar.extractfile(m).read() == data), len(data)]
        except KeyError:
            pass
        found.append([member.name, place])
    (out / 'links.json').write_text(json.dumps(found))
