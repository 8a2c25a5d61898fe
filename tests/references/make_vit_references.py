#!/usr/bin/env python3
"""Makes tests/files/vit.safetensors with PyTorch in float64: two small Vision Transformers, written out
plainly with timm's structure and parameter names (the head is named fc), and twenty AdamW steps of each.

  python3 make_vit_references.py ../files

Weights are not stored: torch_resnet.py has the closed form that makes them from their names.
"""
import sys

import numpy as np
import torch
from torch import nn

import safetensors_file
from torch_resnet import fill, softmax_loss, stream

TAGS, IMAGES, SIZE, PATCH = 7, 6, 16, 4


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(-2, -1) / (d // self.heads) ** 0.5, -1)
        return self.proj((weights @ v).transpose(1, 2).reshape(n, t, d))


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width, eps=1e-6), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width, eps=1e-6), Mlp(width, 4 * width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, stride=PATCH)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


def sincos(side, width):
    """Beyer, Zhai & Kolesnikov 2022: the table of a side×side map."""
    omega = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4 - 1))
    y, x = (place.reshape(-1, 1) * omega for place in torch.meshgrid(
        torch.arange(side, dtype=torch.float64), torch.arange(side, dtype=torch.float64), indexing="ij"))
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], 1)


class VisionTransformer(nn.Module):
    """A class token and learned positions, or neither: the tokens' mean and fixed positions."""

    def __init__(self, width, depth, heads, token):
        super().__init__()
        self.token, patches = token, (SIZE // PATCH) ** 2
        self.patch_embed = PatchEmbed(width)
        if token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
            self.pos_embed = nn.Parameter(torch.zeros(1, patches + 1, width))
        else:
            self.pos_embed = sincos(SIZE // PATCH, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm, self.fc = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, TAGS)

    def features(self, x):
        x = self.patch_embed(x)
        if self.token:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        x = self.norm(self.blocks(x + self.pos_embed))
        return x[:, 0] if self.token else x.mean(1)

    def forward(self, x):
        return self.fc(self.features(x))


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
    out = {"images": pixels} | references("token", VisionTransformer(24, 2, 3, True), x)
    out |= references("mean", VisionTransformer(20, 2, 2, False), x)
    safetensors_file.save(f"{folder}/vit.safetensors", out, {"made by": f"PyTorch {torch.__version__}"})


main()
