#!/usr/bin/env python3
"""Writes tests/files/sources: small data sets in the formats of large ones, and what they hold.

Needs NumPy, Pillow and the command zstd. The sets themselves are not redistributed; the layouts are
those of their documentation: CIFAR's binary version (www.cs.toronto.edu/~kriz/cifar.html), MNIST's IDX,
YFCC100M's yfcc100m_dataset, Tiny ImageNet, img2dataset 1.45. expected.json: for each set a list of
{"key", "tags"} and, where pixels are bare, "sum": the sum of pixel × (1 + its index) modulo 2^32.
"""
import bz2
import csv
import gzip
import io
import json
import pathlib
import struct
import subprocess
import tarfile
import urllib.parse

import numpy
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1] / "files" / "sources"
random = numpy.random.default_rng(5)
expected = {}


def write(name, data):
    path = ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def weighted_sum(pixels):
    flat = pixels.astype(numpy.uint64).ravel()
    return int((flat * numpy.arange(1, flat.size + 1, dtype=numpy.uint64)).sum() % (1 << 32))


def small_image(format, size=(6, 5)):
    data = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), numpy.uint8)).save(data, format)
    return data.getvalue()


def cifar():
    ten = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    coarse = ["aquatic_mammals", "fish", "flowers"]
    fine = ["apple", "aquarium_fish", "baby", "bear"]
    write("cifar-10-batches-bin/batches.meta.txt", "\n".join(ten) + "\n\n")
    write("cifar-100-binary/coarse_label_names.txt", "\n".join(coarse) + "\n")
    write("cifar-100-binary/fine_label_names.txt", "\n".join(fine) + "\n")
    for folder, file, labels, count in (("cifar-10-batches-bin", "data_batch_1", [ten], 3),
                                        ("cifar-10-batches-bin", "data_batch_2", [ten], 2),
                                        ("cifar-10-batches-bin", "test_batch", [ten], 2),
                                        ("cifar-100-binary", "train", [coarse, fine], 3),
                                        ("cifar-100-binary", "test", [coarse, fine], 1)):
        data, items = b"", []
        for i in range(count):
            image = random.integers(0, 256, (32, 32, 3), numpy.uint8)
            numbers = [(7 + i) % len(names) for names in labels]  # so that all parts share tags
            data += bytes(numbers) + image.transpose(2, 0, 1).tobytes()
            items.append({"key": f"{file}/{i:05}", "sum": weighted_sum(image),
                          "tags": [names[n] for names, n in zip(labels, numbers)]})
        write(f"{folder}/{file}.bin", data)
        expected[f"{folder}/{file}.bin"] = items


def idx():
    images = random.integers(0, 256, (4, 3, 7), numpy.uint8)
    labels = bytes([3, 0, 9, 3])
    header = struct.pack(">IIII", 0x803, *images.shape)
    write("idx/train-images-idx3-ubyte.gz", gzip.compress(header + images.tobytes(), mtime=0))
    write("idx/train-labels-idx1-ubyte", struct.pack(">II", 0x801, len(labels)) + labels)
    expected["idx"] = [{"key": f"train/{i:05}", "tags": [str(labels[i])],
                        "sum": weighted_sum(numpy.repeat(images[i][:, :, None], 3, 2))}
                       for i in range(4)]


def yfcc100m():
    photos = [  # id, hash, user tags, machine tags, is it a video, how its file is named
        ("6985418911", "4e2f7a26a1dfbf165a7e30bdabf7e72a", ["new york", "café", "50% off", "a+b"],
         ["geo:lat=40.71", "uploaded:by=flickr_mobile"], 0, "{hash}"),
        ("4443", "d29e7c6a3028418c64eb15e3cf577c2", ["video"], [], 1, "{id}"),
        ("3340519471", "6971f7fd3f5d1e2a5ab0a4e4f8dd5b5d", [], [], 0, "{id}"),
        ("3801198282", "0f00ba15fbdd1ddd1e71ffd3e5d12bb6", ["日本", "a,b"], [], 0, "{id}_f2ad3ab6bd"),
        ("99", "ffffffffffffffffffffffffffffffff", ["not here"], [], 0, None)]
    quote = urllib.parse.quote_plus
    lines = {25: "", 23: ""}
    for number, (id, hash, user, machine, video, name) in enumerate(photos):
        fields = [str(number), id, hash, "48600072071@N01", "doctor+paradox", "2012-03-16 23:07:44.0",
                  "1331968064", "Canon+PowerShot+ELPH+310+HS", "title%09with", "text%0Aof+it",
                  ",".join(map(quote, user)), ",".join(map(quote, machine)), "", "", "",
                  f"http://www.flickr.com/photos/48600072071@N01/{id}/",
                  f"http://farm8.staticflickr.com/7205/{id}_8c8a0c1d2c.jpg",
                  "Attribution-ShareAlike License",
                  "http://creativecommons.org/licenses/by-sa/2.0/", "7205", "8", "8c8a0c1d2c",
                  "4d7e2c4ddb", "jpg", str(video)]
        lines[25] += "\t".join(fields) + "\n"
        lines[23] += "\t".join([id] + fields[3:]) + "\n"
        if name:
            where = f"{hash[:3]}/{hash[3:6]}/" if name == "{hash}" else ""
            write(f"yfcc100m/images/{where}{name.format(id=id, hash=hash)}.jpg", small_image("JPEG"))
    write("yfcc100m/yfcc100m_dataset.bz2", bz2.compress(lines[25].encode()))
    write("yfcc100m/yfcc100m_dataset-0.txt", lines[23])
    with tarfile.open(ROOT / "yfcc100m" / "photos.tar", "w") as tar:
        for file in sorted((ROOT / "yfcc100m" / "images").rglob("*.jpg")):
            tar.add(file, file.relative_to(ROOT / "yfcc100m" / "images"))
    expected["yfcc100m"] = [{"key": id, "tags": [tag.lower() for tag in user + machine]}
                            for id, hash, user, machine, video, name in photos
                            if name and not video and user + machine]


def tables():
    rows = [["a.png", "dog; beach day", "1", "pets"], ['q,x.png', 'cat "tom";two\nlines', "2", ""],
            ["c.png", "fish, raw", "3", "food|sea"]]
    for name, *_ in rows:
        write(f"tables/{name}", small_image("PNG"))
    text = io.StringIO()
    csv.writer(text).writerows([["id of it", "file_name", "words", "kind"]] +
                               [[id, name, words, kind] for name, words, id, kind in rows])
    write("tables/list.csv.gz", gzip.compress(("\ufeff" + text.getvalue()).encode(), mtime=0))
    plain = "".join(f"{name}\t{words}\t{kind}\n".replace("\n", " ", words.count("\n"))
                    for name, words, id, kind in rows)
    write("tables/plain.tsv", plain)
    subprocess.run(["zstd", "-q", "-f", "--rm", ROOT / "tables/plain.tsv"], check=True)
    split = lambda text, marks: [part.strip() for part in
                                 text.translate({ord(c): "\n" for c in marks}).split("\n")
                                 if part.strip()]
    expected["list.csv.gz"] = [
        {"key": id, "tags": [" ".join(tag.split()) for tag in words.split(";")] +
         ([kind] if kind else [])} for (name, words, id, kind) in
        [(n, w, i, k) for n, w, i, k in rows]]
    expected["plain.tsv.zst"] = [{"key": name[:-4], "tags": split(words.replace("\n", " "), ";") +
                                  split(kind, "|")} for name, words, id, kind in rows]


def img2dataset():
    """As `img2dataset --output_format webdataset --save_additional_columns '["hashtags"]'`."""
    items = []
    with tarfile.open(ROOT / "00000.tar", "w") as tar:
        for i, (caption, hashtags) in enumerate((("a dog on the beach", ["Dog", "#beach"]),
                                                 ("red, green", ["Colour"]))):
            key = f"00000{i:04}"
            record = {"hashtags": hashtags, "caption": caption, "url": f"http://example.org/{i}.jpg",
                      "key": key, "status": "success", "error_message": None, "width": 6,
                      "height": 5, "original_width": 6, "original_height": 5, "exif": "{}",
                      "sha256": "0" * 64}
            for extension, data in (("jpg", small_image("JPEG")), ("txt", caption.encode()),
                                    ("json", json.dumps(record, indent=4).encode())):
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
                write(f"img2dataset/files/00000/{key}.{extension}", data)
            items.append({"key": f"00000/{key}", "caption": caption, "hashtags": hashtags})
    (ROOT / "00000.tar").rename(ROOT / "img2dataset" / "00000.tar")
    write("img2dataset/00000_stats.json", json.dumps({"count": 2, "successes": 2}))
    write("img2dataset/00000.parquet", b"PAR1" + bytes(8) + b"PAR1")
    expected["img2dataset"] = items


def tiny_imagenet():
    wnids = {"n01443537": "goldfish, Carassius auratus", "n02123045": "tabby, tabby cat"}
    write("tiny-imagenet-200/wnids.txt", "\n".join(wnids))
    write("tiny-imagenet-200/words.txt", "".join(f"{n}\t{w}\n" for n, w in wnids.items()))
    for n in wnids:
        write(f"tiny-imagenet-200/train/{n}/images/{n}_0.JPEG", small_image("JPEG"))
        write(f"tiny-imagenet-200/train/{n}/{n}_boxes.txt", f"{n}_0.JPEG\t0\t10\t63\t58\n")
    write("tiny-imagenet-200/val/images/val_0.JPEG", small_image("JPEG"))
    write("tiny-imagenet-200/val/val_annotations.txt", "val_0.JPEG\tn02123045\t0\t32\t44\t62\n")


for make in (cifar, idx, yfcc100m, tables, img2dataset, tiny_imagenet):
    make()
write("expected.json", json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
