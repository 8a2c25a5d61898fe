"""The Vision Transformer in plain PyTorch, with timm's structure and parameter names, but the head is named
fc; its parameters are filled by torch_resnet.py's closed form.
"""
import torch
from torch import nn


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
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width, eps=1e-6), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width, eps=1e-6), Mlp(width, hidden)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, width, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

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

    def __init__(self, size, patch, width, depth, heads, token, tags, mlp_ratio=4):
        super().__init__()
        self.token, side = token, size // patch
        self.patch_embed = PatchEmbed(width, patch)
        if token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
            self.pos_embed = nn.Parameter(torch.zeros(1, side * side + 1, width))
        else:
            self.register_buffer("pos_embed", sincos(side, width), persistent=False)
        self.blocks = nn.Sequential(*[Block(width, heads, mlp_ratio * width) for _ in range(depth)])
        self.norm, self.fc = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, tags)

    def features(self, x):
        x = self.patch_embed(x)
        if self.token:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        x = self.norm(self.blocks(x + self.pos_embed))
        return x[:, 0] if self.token else x.mean(1)

    def forward(self, x):
        return self.fc(self.features(x))
