#!/usr/bin/env python3
"""Times training steps of a stage of experts in PyTorch, as a careful user would write it: a loop over experts.

  torch_experts.py --map 16 --channels 64 --batch 128 --experts 8 --chosen 1

The network and the options are those of bench_experts.cpp: a 1x1 convolution, the stage (a noisy top-k gate
on the map's mean; each expert two basic blocks on the rows it was given), pooling, a linear layer; softmax
loss, SGD with Nesterov momentum, channels_last. Prints one JSON line.
"""
import argparse
import json
import os
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + x, inplace=True)


class Experts(nn.Module):
    def __init__(self, channels, experts, chosen):
        super().__init__()
        self.chosen = chosen
        self.scores = nn.Linear(channels, experts, bias=False)
        self.noise = nn.Linear(channels, experts, bias=False)
        self.experts = nn.ModuleList(nn.Sequential(Block(channels), Block(channels)) for _ in range(experts))

    def forward(self, x):
        mean = x.mean((2, 3))
        scores = self.scores(mean)
        scores = scores + torch.randn_like(scores) * (F.softplus(self.noise(mean)) + 0.01)
        top, index = scores.topk(self.chosen, dim=1)
        gates = top.softmax(1)
        y = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            rows, choice = (index == number).nonzero(as_tuple=True)
            if len(rows) == 0:
                continue
            y = y.index_add(0, rows, expert(x[rows]) * gates[rows, choice].view(-1, 1, 1, 1))
        return y


class Net(nn.Module):
    def __init__(self, options, stage):
        super().__init__()
        self.below = nn.Conv2d(options.channels, options.channels, 1, bias=False)
        self.stage = stage
        self.fc = nn.Linear(options.channels, options.tags)

    def forward(self, x):
        return self.fc(self.stage(self.below(x)).mean((2, 3)))


def seconds_of(net, options):
    device = torch.device(options.device)
    net = net.to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6, momentum=0.9, nesterov=True)
    batches = [(torch.randn(options.batch, options.channels, options.map, options.map)
                .to(device).to(memory_format=torch.channels_last),
                torch.randint(0, options.tags, (options.batch,)).to(device)) for _ in range(4)]

    def run(steps):
        for step in range(steps):
            x, tags = batches[step % 4]
            with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
                logits = net(x)
            loss = F.cross_entropy(logits.float(), tags)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        loss.item()  # waits

    run(options.warmup)
    start = time.perf_counter()
    run(options.steps)
    return (time.perf_counter() - start) / options.steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, value in (("map", 16), ("channels", 64), ("batch", 128), ("tags", 100), ("experts", 8),
                        ("chosen", 1), ("steps", 20), ("warmup", 20)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", default="cpu", help="cpu or cuda[:N] (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(1)
    alone = seconds_of(Net(options, nn.Sequential(Block(options.channels), Block(options.channels))), options)
    experts = seconds_of(Net(options, Experts(options.channels, options.experts, options.chosen)), options)
    print(json.dumps({"images_per_second": options.batch / experts, "seconds_a_step": experts,
                      "stage_alone_seconds": alone, "ratio_to_chosen_stages": experts / (alone * options.chosen),
                      "precision": options.precision, "threads": torch.get_num_threads(),
                      "framework": f"torch {torch.__version__}"}))


if __name__ == "__main__":
    main()
