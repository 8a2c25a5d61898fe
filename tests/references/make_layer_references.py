#!/usr/bin/env python3
"""Makes tests/files/layers.safetensors with PyTorch in float64: layer norm and GELU between linear
layers, on vectors and on the tokens of a small map, with a linear layer on the flattened map.

  python3 make_layer_references.py ../files

Weights are not stored: torch_resnet.py has the closed form that makes them from their names.
"""
import sys

import numpy as np
import torch
from torch import nn

import safetensors_file
from torch_resnet import fill, softmax_loss, stream

TAGS = 7


class Vectors(nn.Module):
    """24 → 20, layer norm, GELU → 7."""

    def __init__(self):
        super().__init__()
        self.below, self.norm, self.fc = nn.Linear(24, 20), nn.LayerNorm(20), nn.Linear(20, TAGS)

    def forward(self, x):
        return self.fc(nn.functional.gelu(self.norm(self.below(x))))


class Maps(nn.Module):
    """A 6×4 image: convolution, ReLU, layer norm of every position, GELU, all of it flattened → 7."""

    def __init__(self):
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.LayerNorm(16)
        self.fc = nn.Linear(16 * 3 * 2, TAGS)

    def forward(self, x):
        x = torch.relu(self.patches(x)).permute(0, 2, 3, 1)
        x = nn.functional.gelu(self.norm(x)).permute(0, 3, 1, 2)
        return self.fc(torch.flatten(x, 1))


def references(name, net, x, stored_input):
    net = fill(net.double())
    targets = torch.zeros(len(x), TAGS, dtype=torch.float64)
    for i in range(len(x)):
        targets[i, [i % TAGS, (3 * i + 1) % TAGS]] = 1  # two tags, or one twice
    targets /= targets.sum(1, keepdim=True)
    logits = net(x)
    loss = softmax_loss(logits, targets)
    loss.backward()
    out = {f"{name}.input": stored_input, f"{name}.logits": logits, f"{name}.loss": loss.reshape(1)}
    out |= {f"{name}.grad.{key}": p.grad for key, p in net.named_parameters()}
    return {key: value if isinstance(value, np.ndarray)
            else value.detach().numpy().astype(np.float32) for key, value in out.items()}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "../files"
    features = stream("layers.features", 6 * 24).reshape(6, 24).astype(np.float32)
    out = references("vectors", Vectors(), torch.from_numpy(features).double(), features)
    pixels = (127.5 + 127 * stream("layers.pixels", 6 * 6 * 4 * 3)).reshape(6, 6, 4, 3).astype(np.uint8)
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64) * 255
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64) * 255
    x = ((torch.from_numpy(pixels).double() - mean) / std).permute(0, 3, 1, 2)
    out |= references("maps", Maps(), x, pixels)
    safetensors_file.save(f"{folder}/layers.safetensors", out, {"made by": f"PyTorch {torch.__version__}"})


main()
