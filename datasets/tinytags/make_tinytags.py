#!/usr/bin/env python3
"""Turns Tiny ImageNet and WordNet into small pictures with noisy tags: WebDataset tars for moe-ingest.

  make_tinytags.py tiny-imagenet-200 tinytags       (packages python3-pil and wordnet-base)

An image's true tags are its class and the class's hypernyms in WordNet 3.0, which Tiny ImageNet's folder
names point into. What is written as "tags" is what careless people would have typed: some of the true
ones, and now and then one of another class. "truth" goes with the validation images only. Everything
drawn is a function of the seed and the image's name.
"""
import argparse
import collections
import io
import json
import os
import random
import sys
import tarfile

from PIL import Image

# Hypernyms of nearly everything.
TOO_GENERAL = {"entity", "physicalentity", "abstraction", "abstractentity", "object", "whole", "matter",
               "thing", "causalagent", "unit", "part", "relation", "attribute", "group"}


def read_wordnet(path):
    """Offset in data.noun → (first word, offsets of its hypernyms). Format: wndb(5WN)."""
    synsets = {}
    with open(path, encoding="ascii") as file:
        for line in file:
            if line.startswith("  "):  # the licence
                continue
            fields = line.split(" | ")[0].split()
            words = int(fields[3], 16)
            pointers = fields[5 + 2 * words:]
            parents = [pointers[i + 1] for i in range(0, len(pointers) - 3, 4)
                       if pointers[i] in ("@", "@i")]
            synsets[fields[0]] = (fields[4].lower().replace("_", "").replace("-", ""), parents)
    return synsets


def true_tags(wnid, synsets):
    """The class's own word, then its hypernyms', nearest first; general ones left out."""
    if wnid[1:] not in synsets:
        sys.exit(f"{wnid}: not a noun of this WordNet; Tiny ImageNet needs version 3.0")
    tags, level = [], [wnid[1:]]
    while level:
        for offset in level:
            word = synsets[offset][0]
            if word not in TOO_GENERAL and word not in tags:
                tags.append(word)
        level = [parent for offset in level for parent in synsets[offset][1]]
    return tags


def noisy_tags(truth, pool, options, draw):
    """Each true tag is kept with probability 1 − drop, at least one of them; with probability `wrong` one
    tag of `pool`, a list of every class's tags, is added."""
    tags = [tag for tag in truth if draw() >= options.drop] or [truth[int(draw() * len(truth))]]
    if draw() < options.wrong:
        stray = pool[int(draw() * len(pool))]
        if stray not in tags:
            tags.append(stray)
    return sorted(tags, key=lambda tag: draw())


def list_images(root):
    """(split, class, path) of every image, by Tiny ImageNet's layout."""
    train = os.path.join(root, "train")
    if not os.path.isdir(train):
        sys.exit(f"{root}: no folder train/ in it; expected Tiny ImageNet, unpacked")
    for wnid in sorted(os.listdir(train)):
        folder = os.path.join(train, wnid, "images")
        for name in sorted(os.listdir(folder)):
            yield "train", wnid, os.path.join(folder, name)
    annotations = os.path.join(root, "val", "val_annotations.txt")
    with open(annotations, encoding="ascii") as file:
        for line in file:
            name, wnid = line.split("\t")[:2]
            yield "val", wnid, os.path.join(root, "val", "images", name)


def shrunk(path, size):
    """The image as a JPEG of size × size pixels."""
    image = Image.open(path).convert("RGB").resize((size, size), Image.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def add(tar, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", help="Tiny ImageNet's folder, with train/ and val/")
    parser.add_argument("out", help="folder for the tars")
    parser.add_argument("--wordnet", default="/usr/share/wordnet/data.noun", help="(%(default)s)")
    parser.add_argument("--size", type=int, default=32, help="pixels (%(default)s)")
    parser.add_argument("--drop", type=float, default=0.4, help="share of true tags lost (%(default)s)")
    parser.add_argument("--wrong", type=float, default=0.2,
                        help="share of images with a wrong tag (%(default)s)")
    parser.add_argument("--per-shard", type=int, default=10000, help="images a tar (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        synsets = read_wordnet(options.wordnet)
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}; install wordnet-base, or give --wordnet")

    items = collections.defaultdict(list)
    for split, wnid, path in list_images(options.source):
        items[split].append((wnid, path))
    classes = {wnid: true_tags(wnid, synsets) for wnid, _ in items["train"] + items["val"]}
    pool = [tag for wnid in sorted(classes) for tag in classes[wnid]]
    os.makedirs(options.out, exist_ok=True)
    for split, images in items.items():
        random.Random(f"{options.seed}/{split}").shuffle(images)  # classes come mixed
        for first in range(0, len(images), options.per_shard):
            name = f"{options.out}/tinytags-{split}-{first // options.per_shard:03d}.tar"
            with tarfile.open(name + ".part", "w", format=tarfile.USTAR_FORMAT) as tar:
                for number in range(first, min(first + options.per_shard, len(images))):
                    wnid, path = images[number]
                    draw = random.Random(f"{options.seed}/{os.path.basename(path)}").random
                    entry = {"tags": noisy_tags(classes[wnid], pool, options, draw)}
                    if split == "val":
                        entry["truth"] = classes[wnid]
                    add(tar, f"{number:06d}.jpg", shrunk(path, options.size))
                    add(tar, f"{number:06d}.json", json.dumps(entry).encode())
            os.rename(name + ".part", name)
            print(f"{name}: {min(options.per_shard, len(images) - first)} images", file=sys.stderr)


if __name__ == "__main__":
    main()
