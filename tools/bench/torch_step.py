#!/usr/bin/env python3
"""Times training steps, or embedding, of the same ResNet in PyTorch, as a careful user would write them.

  torch_step.py --depth 18 --stem small --width 64 --image 32 --batch 128 --tags 400 --precision fp32

A step takes a batch of uint8 images from memory, mirrors half of the batches, pads by 4 and crops at
random, normalises, and does forward, softmax loss against 1/k on k tags, backward and SGD with Nesterov
momentum. On a GPU the batch is ready in pinned memory (as bench-step has it without a dataset), is copied
by a stream of its own while the step before runs, and nothing waits inside a round. Prints one JSON line;
"images_per_second" is over all steps after the warm-up. The options and their defaults are those of
bench_step.cpp.
"""
import argparse
import json
import os
import pathlib
import random
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "references"))
from torch_resnet import LAYERS, ResNet, softmax_loss  # noqa: E402

STORED = 2048  # images in memory, for the CPU
PINNED = 4     # batches in pinned memory, for a GPU


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--depth", type=int, choices=sorted(LAYERS), default=18)
    parser.add_argument("--stem", choices=("small", "imagenet"), default="imagenet")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--image", type=int, default=64, help="pixels (%(default)s)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--tags", type=int, default=400)
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--steps", type=int, default=20, help="timed (%(default)s)")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="0: every processor this process may use")
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:N] (%(default)s)")
    parser.add_argument("--contiguous", action="store_true", help="NCHW instead of channels_last")
    parser.add_argument("--compile", choices=("off", "default", "reduce-overhead", "max-autotune"), default="off",
                        help="torch.compile's mode (%(default)s); the last two replay CUDA graphs")
    parser.add_argument("--embed", action="store_true", help="features brought to the host, not training")
    parser.add_argument("--paced", action="store_true",
                        help="print \"ready\" when warm, then a round for each line on standard input")
    return parser.parse_args()


def cpu_batches(options):
    """(images N×3×H×W, targets N×V): rows drawn from memory, mirrored, padded and cropped."""
    images = torch.randint(0, 256, (STORED, 3, options.image, options.image), dtype=torch.uint8)
    targets = random_targets(STORED, options.tags)
    while True:
        rows = torch.randint(0, STORED, (options.batch,))
        x = images[rows].float()
        if not options.embed:
            if random.random() < 0.5:
                x = x.flip(3)
            x = F.pad(x, (4, 4, 4, 4), mode="reflect")
            top, left = random.randint(0, 8), random.randint(0, 8)
            x = x[:, :, top:top + options.image, left:left + options.image]
        yield x, targets[rows]


def gpu_batches(options, device):
    """The same on the device: copied ahead from pinned memory (N×H×W×3, that is channels_last), mirrored."""
    shape = (options.batch, options.image, options.image, 3)
    stored = [(torch.randint(0, 256, shape, dtype=torch.uint8).pin_memory(),
               random_targets(options.batch, options.tags).pin_memory()) for _ in range(PINNED)]
    stream = torch.cuda.Stream(device)

    def copy(number):
        with torch.cuda.stream(stream):
            return [t.to(device, non_blocking=True) for t in stored[number % PINNED]]

    ahead, number = copy(0), 0
    while True:
        torch.cuda.current_stream(device).wait_stream(stream)
        x, target = ahead
        for t in ahead:
            t.record_stream(torch.cuda.current_stream(device))
        number += 1
        ahead = copy(number)
        x = x.permute(0, 3, 1, 2)
        if not options.embed and random.random() < 0.5:
            x = x.flip(3)
        yield x, target


def random_targets(rows, tags):
    """1/k on each of up to five tags."""
    targets = torch.zeros(rows, tags)
    targets.scatter_(1, torch.randint(0, tags, (rows, min(5, tags))), 1)
    return targets / targets.sum(1, keepdim=True)


def main():
    options = parse_options()
    # Left to itself PyTorch counts cores and leaves their second threads idle.
    torch.set_num_threads(options.threads or len(os.sched_getaffinity(0)))
    torch.manual_seed(1)
    random.seed(1)
    device = torch.device(options.device)
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.precision != "fp32"
    layout = torch.contiguous_format if options.contiguous else torch.channels_last
    mean = torch.tensor([123.7, 116.3, 103.5], device=device).view(1, 3, 1, 1)
    std = torch.tensor([58.4, 57.1, 57.4], device=device).view(1, 3, 1, 1)
    net = ResNet(options.depth, options.stem, options.width, options.tags)
    net = net.to(device).to(memory_format=layout).train(not options.embed)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True,
                                **({"fused": True} if on_gpu else {}))

    def forward(x):
        x = x.float().sub(mean).div(std).to(memory_format=layout)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            return net.features(x) if options.embed else net(x)

    if options.compile != "off":
        forward = torch.compile(forward, mode=options.compile)
    batches = gpu_batches(options, device) if on_gpu else cpu_batches(options)
    kept = torch.empty(options.batch, net.fc.in_features)
    if on_gpu:
        kept = kept.pin_memory()

    def step():
        x, target = next(batches)
        if options.embed:
            with torch.inference_mode():
                kept.copy_(forward(x).float(), non_blocking=True)
            return kept[0, 0]
        loss = softmax_loss(forward(x).float(), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def run(count):
        for _ in range(count):
            result = step()
        return result.item()  # waits

    def measure():
        start = time.perf_counter()
        result = run(options.steps)
        if on_gpu:
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        line = {"images_per_second": round(options.batch * options.steps / seconds, 2),
                "mode": "embed" if options.embed else "train", "compile": options.compile,
                "steps": options.steps, "batch": options.batch, "precision": options.precision,
                "threads": torch.get_num_threads(), "loss": round(result, 4),
                "framework": f"torch {torch.__version__}"}
        if on_gpu:
            line["memory_bytes"] = torch.cuda.max_memory_reserved()
        print(json.dumps(line), flush=True)

    run(options.warmup)
    if options.paced:
        print("ready", flush=True)
        for _ in sys.stdin:
            measure()
    else:
        measure()


if __name__ == "__main__":
    main()
