#!/usr/bin/env python3
"""Times training steps of the same ResNet in PyTorch, as a user would write them.

  torch_step.py --depth 18 --stem small --width 64 --image 32 --batch 128 --tags 400 --precision fp32

A step takes a batch of uint8 images from memory, mirrors half of the batches, pads by 4 and crops at
random, normalises, and does forward, softmax loss against 1/k on k tags, backward and SGD with Nesterov
momentum. Prints one JSON line; "images_per_second" is over all steps after the warm-up. The options and
their defaults are those of bench_step.cpp.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "references"))
from torch_resnet import LAYERS, ResNet, softmax_loss  # noqa: E402

STORED = 2048  # images in memory


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--depth", type=int, choices=sorted(LAYERS), default=18)
    parser.add_argument("--stem", choices=("small", "imagenet"), default="imagenet")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--image", type=int, default=64, help="pixels (%(default)s)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--tags", type=int, default=400)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--steps", type=int, default=20, help="timed (%(default)s)")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="0: every processor this process may use")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    parser.add_argument("--contiguous", action="store_true", help="NCHW instead of channels_last")
    return parser.parse_args()


def main():
    options = parse_options()
    # Left to itself PyTorch counts cores and leaves their second threads idle.
    torch.set_num_threads(options.threads or len(os.sched_getaffinity(0)))
    torch.manual_seed(1)
    random.seed(1)
    device = torch.device(options.device)
    layout = torch.contiguous_format if options.contiguous else torch.channels_last
    images = torch.randint(0, 256, (STORED, 3, options.image, options.image), dtype=torch.uint8)
    targets = torch.zeros(STORED, options.tags)
    targets.scatter_(1, torch.randint(0, options.tags, (STORED, 5)), 1)
    targets /= targets.sum(1, keepdim=True)
    mean = torch.tensor([123.7, 116.3, 103.5], device=device).view(1, 3, 1, 1)
    std = torch.tensor([58.4, 57.1, 57.4], device=device).view(1, 3, 1, 1)

    net = ResNet(options.depth, options.stem, options.width, options.tags)
    net = net.to(device).to(memory_format=layout).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)

    def step():
        rows = torch.randint(0, STORED, (options.batch,))
        x = images[rows].to(device).float().sub(mean).div(std)
        if random.random() < 0.5:
            x = x.flip(3)
        x = F.pad(x, (4, 4, 4, 4), mode="reflect")
        top, left = random.randint(0, 8), random.randint(0, 8)
        x = x[:, :, top:top + options.image, left:left + options.image].to(memory_format=layout)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            logits = net(x)
        loss = softmax_loss(logits.float(), targets[rows].to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return loss.item()

    seconds = []
    for number in range(options.warmup + options.steps):
        start = time.perf_counter()
        loss = step()
        if number >= options.warmup:
            seconds.append(time.perf_counter() - start)
    print(json.dumps({
        "images_per_second": round(options.batch * len(seconds) / sum(seconds), 2),
        "median_images_per_second": round(options.batch / statistics.median(seconds), 2),
        "steps": options.steps, "batch": options.batch, "precision": options.precision,
        "threads": torch.get_num_threads(), "loss": round(loss, 4),
        "framework": f"torch {torch.__version__}"}))


if __name__ == "__main__":
    main()
