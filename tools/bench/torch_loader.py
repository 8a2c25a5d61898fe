#!/usr/bin/env python3
"""Peer for the loader: torchvision's DataLoader, RandomResizedCrop and flip, images a second.

  torch_loader.py JPEG_FOLDER SIZE WORKERS

JPEG_FOLDER holds a folder a class. Prints a JSON line for the second of two passes: the first one starts
the workers and fills the page cache.
"""
import json
import sys
import time

import torch
import torchvision
import torchvision.transforms as T

folder, size, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
images = torchvision.datasets.ImageFolder(folder, T.Compose([
    T.RandomResizedCrop(size), T.RandomHorizontalFlip(), T.ToTensor(),
    T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]))
loader = torch.utils.data.DataLoader(images, 64, shuffle=True, num_workers=workers, drop_last=True,
                                     persistent_workers=True)
for _ in range(2):
    begin, count = time.time(), 0
    for batch, _ in loader:
        count += len(batch)
    rate = count / (time.time() - begin)
print(json.dumps({'images': count, 'workers': workers, 'images_per_second': round(rate, 1)}))
