#!/usr/bin/env python3
"""Makes tests/files/vit.safetensors with PyTorch in float64: two small Vision Transformers of
torch_vit.py, and twenty AdamW steps of each.

  python3 make_vit_references.py ../files

Weights are not stored: torch_resnet.py has the closed form that makes them from their names.
"""
import sys

import numpy as np
import torch

import safetensors_file
from torch_resnet import fill, softmax_loss, stream
from torch_vit import VisionTransformer

TAGS, IMAGES, SIZE, PATCH = 7, 6, 16, 4


def references(name, net, x):
    net = fill(net.double())
    targets = torch.zeros(len(x), TAGS, dtype=torch.float64)
    for i in range(len(x)):
        targets[i, [i % TAGS, (3 * i + 1) % TAGS]] = 1  # two tags, or one twice
    targets /= targets.sum(1, keepdim=True)
    features = net.features(x)
    logits = net.fc(features)
    loss = softmax_loss(logits, targets)
    loss.backward()
    out = {f"{name}.features": features, f"{name}.logits": logits, f"{name}.loss": loss.reshape(1)}
    out |= {f"{name}.grad.{key}": p.grad.clone() for key, p in net.named_parameters()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.05)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = softmax_loss(net(x), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    out[f"{name}.adamw.losses"] = torch.tensor(losses)
    return {key: value.detach().numpy().astype(np.float32) for key, value in out.items()}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "../files"
    pixels = 127.5 + 127 * stream("vit.pixels", IMAGES * SIZE * SIZE * 3)
    pixels = pixels.reshape(IMAGES, SIZE, SIZE, 3).astype(np.uint8)
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64) * 255
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64) * 255
    x = ((torch.from_numpy(pixels).double() - mean) / std).permute(0, 3, 1, 2)
    out = {"images": pixels} | references("token", VisionTransformer(SIZE, PATCH, 24, 2, 3, True, TAGS), x)
    out |= references("mean", VisionTransformer(SIZE, PATCH, 20, 2, 2, False, TAGS), x)
    safetensors_file.save(f"{folder}/vit.safetensors", out, {"made by": f"PyTorch {torch.__version__}"})


main()
