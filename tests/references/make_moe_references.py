#!/usr/bin/env python3
"""Makes tests/files/moe.safetensors with PyTorch in float64: whole sparsely-gated networks, plainly by
their papers' formulas with loops over experts; what they answer, one training step, and fifty.

  python3 make_moe_references.py ../files

Weights and running statistics are not stored: torch_resnet.py has the closed form that makes them from
their names. The noise is the engine's (torch_gates.py). How far the same in float32 is from what is
stored, and how near to another choice of experts, is in the file's metadata, for choosing tolerances.
"""
import copy
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import safetensors_file
from torch_gates import kept, noise, shazeer_load, squared_variation, top_k, vision_load
from torch_resnet import ResNet, fill, sigmoid_loss, softmax_loss, stream
from torch_vit import VisionTransformer

TAGS, IMAGES, SIZE, EXPERTS, CHOSEN, SEED, STEPS = 7, 12, 16, 4, 2, 5, 50


class Gate(nn.Module):
    """What gates have in common: the running share of all choices that each expert got, and noise."""

    def __init__(self):
        super().__init__()
        self.register_buffer("usage", torch.zeros(EXPERTS))
        self.step, self.nearest = 0, float("inf")

    def note(self, gates, values):
        """values: what the choice was made of; `nearest` becomes how near another one was."""
        if not self.training:
            return
        counts = (gates != 0).sum(0)
        self.usage += 0.01 * (counts / (len(gates) * CHOSEN) - self.usage)
        best = torch.topk(values.detach(), CHOSEN + 1).values
        self.nearest = min(self.nearest, (best[:, CHOSEN - 1] - best[:, CHOSEN]).min().item())

    def draw(self, rows):
        return noise(SEED, self.step, self.noise_value, rows, EXPERTS).to(self.usage.dtype)


def mix(x, gates, expert):
    """Σ_e g_e·expert(e, x) for each row, of the experts whose gate is not 0."""
    parts = []
    for e in range(EXPERTS):
        rows = gates[:, e].nonzero().flatten()
        if len(rows) == 0:
            continue
        y = expert(e, x[rows])
        y = y * gates[rows, e].reshape(-1, *[1] * (y.dim() - 1))
        parts.append(torch.zeros(len(x), *y.shape[1:], dtype=y.dtype).index_add(0, rows, y))
    return sum(parts)


# ---- ResNets with a stage of experts: Shazeer et al. 2017, Pavlitska et al. 2022 ----

class Constraint(nn.Module):
    """Pavlitska et al. 2022: the relative importance constraint's running sums, and a count of batches."""

    def __init__(self):
        super().__init__()
        self.register_buffer("running", torch.zeros(EXPERTS))
        self.register_buffer("steps", torch.zeros(1))

    def masked(self, limit):
        above = self.running > limit
        return torch.zeros_like(above) if above.all() else above

    def note(self, gates):
        even = len(gates) / EXPERTS
        self.running += (gates.detach().sum(0) - even) / even
        self.steps += 1


class ImageGate(Gate):
    noise_value = 54  # layer4.gate.noisy's output

    def __init__(self, kind, channels):
        super().__init__()
        self.kind = kind
        self.fc = nn.Linear(channels, EXPERTS, bias=kind != "shazeer")
        if kind == "constraint":
            self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.top_k = Constraint()
        else:
            self.noise = nn.Linear(channels, EXPERTS, bias=False)

    def sigma(self, x):
        raw = self.noise(x)
        if self.kind == "shazeer":
            return F.softplus(raw) + 0.01
        return F.softplus(raw + 0.01)

    def forward(self, x):
        """The gates, and the losses."""
        if self.kind == "constraint":
            return self.constrained(self.fc(self.conv(x).mean((2, 3)))), ()
        x = x.mean((2, 3))
        clean, sigma = self.fc(x), self.sigma(x)
        noisy = clean + self.draw(len(x)) * sigma if self.training else clean
        gates = top_k(noisy, CHOSEN, softmax=True)
        self.note(gates, noisy)
        if self.kind == "pavlitska":
            return gates, (squared_variation(gates.sum(0), ddof=1, epsilon=1e-10),)
        p = shazeer_load(clean, noisy, sigma, CHOSEN)
        return gates, (squared_variation(gates.sum(0)), squared_variation(p.sum(0)))

    def constrained(self, logits):
        if self.training:
            logits = logits.masked_fill(self.top_k.masked(limit=0.5), -torch.inf)
        gates = top_k(logits, CHOSEN, softmax=True)
        if self.training:
            self.top_k.note(gates)
        self.note(gates, logits)
        return gates


class ExpertBlock(nn.Module):
    """A basic block of each expert; parameters are named by layer, then by expert."""

    def __init__(self, inputs, inner, outputs, stride):
        super().__init__()
        self.conv1 = each(lambda: nn.Conv2d(inputs, inner, 3, stride, 1, bias=False))
        self.bn1 = each(lambda: nn.BatchNorm2d(inner))
        self.conv2 = each(lambda: nn.Conv2d(inner, outputs, 3, 1, 1, bias=False))
        self.bn2 = each(lambda: nn.BatchNorm2d(outputs))
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.ModuleList([
                each(lambda: nn.Conv2d(inputs, outputs, 1, stride, bias=False)),
                each(lambda: nn.BatchNorm2d(outputs))])

    def forward(self, e, x):
        y = F.relu(self.bn1[e](self.conv1[e](x)))
        y = self.bn2[e](self.conv2[e](y))
        if self.downsample is not None:
            convs, norms = self.downsample
            x = norms[e](convs[e](x))
        return F.relu(y + x)


def each(make):
    return nn.ModuleList([make() for _ in range(EXPERTS)])


class ExpertStage(nn.Module):
    def __init__(self, kind, inputs, inner, outputs):
        super().__init__()
        self.gate = ImageGate(kind, inputs)
        self.experts = nn.ModuleList([ExpertBlock(inputs, inner, outputs, 2),
                                      ExpertBlock(outputs, inner, outputs, 1)])

    def forward(self, x):
        gates, self.losses = self.gate(x)
        first, second = self.experts
        return mix(x, gates, lambda e, rows: second(e, first(e, rows)))


def sparse_resnet(kind):
    """ResNet-18 of width 2 for small images, whose last stage is four experts of 4 inner channels."""
    net = ResNet(18, "small", 2, TAGS)
    net.layer4 = ExpertStage(kind, 8, 4, 16)
    return net, net.layer4


# ---- V-MoE: Riquelme et al. 2021 ----

class TokenGate(Gate):
    def __init__(self, width, noise_value, priority):
        super().__init__()
        self.noise_value, self.priority = noise_value, priority
        self.fc = nn.Linear(width, EXPERTS, bias=False)

    def forward(self, x):
        """x: images×tokens×width. The gates of all rows, and the losses."""
        images, tokens, width = x.shape
        clean = self.fc(x.reshape(-1, width))
        noisy = clean + self.draw(len(clean)) / EXPERTS if self.training else clean
        gates = top_k(torch.softmax(noisy, 1), CHOSEN, softmax=False)
        # A group of tokens that compete for room is the batch in training, else an image.
        groups = gates.split(len(gates) if self.training else tokens)
        found = torch.cat([kept(group, CHOSEN, factor=0.8, priority=self.priority) for group in groups])
        assert 0 < found.sum() < len(gates) * CHOSEN
        gates = gates * found
        self.note(gates, noisy)
        p = vision_load(clean, noisy, 1 / EXPERTS, CHOSEN)
        return gates, (squared_variation(torch.softmax(clean, 1).sum(0)), squared_variation(p.mean(0)))


class ExpertMlps(nn.Module):
    def __init__(self, width, hidden, noise_value, priority):
        super().__init__()
        self.gate = TokenGate(width, noise_value, priority)
        self.experts = nn.ModuleDict({"fc1": each(lambda: nn.Linear(width, hidden)),
                                      "fc2": each(lambda: nn.Linear(hidden, width))})

    def forward(self, x):
        gates, self.losses = self.gate(x)
        fc1, fc2 = self.experts["fc1"], self.experts["fc2"]
        rows = x.reshape(-1, x.shape[2])
        return mix(rows, gates, lambda e, y: fc2[e](F.gelu(fc1[e](y)))).reshape(x.shape)


def vision_moe(width, token, priority):
    """Two blocks, the second of which has experts."""
    mlp_ratio = 2
    net = VisionTransformer(SIZE, 4, width, 2, 2, token, TAGS, mlp_ratio)
    noise_value = 23 if token else 22  # blocks.1.mlp.gate.noise's output
    net.blocks[1].mlp = ExpertMlps(width, mlp_ratio * width, noise_value, priority)
    return net, net.blocks[1].mlp


# ---- what is stored ----

def objective(net, layer, x, targets, loss, weights, step):
    """All losses, and their weighted sum."""
    layer.gate.step = step
    losses = torch.stack([loss(net(x), targets), *layer.losses])
    return losses, (losses * torch.tensor([1, *weights], dtype=losses.dtype)[:len(losses)]).sum()


def nearest_kink(run):
    """How near to 0 an input of a ReLU comes while run() runs, beside what that returns. A gradient of
    another rounding may differ much where it is near.
    """
    relu, inputs = F.relu, []
    F.relu = lambda x: (inputs.append(x.detach().abs().min().item()), relu(x))[1]
    result = run()
    F.relu = relu
    nearest = min(inputs, default=float("inf"))
    assert nearest > 5e-5
    return nearest, result


def begin_gradients(net):
    """An expert that gets no row has gradients of zero, not none: momentum and decay go on."""
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None


def freeze(net):
    """Leaves of a ResNet only the experts' stage and the head to train, the rest as in evaluation: after some
    steps of all of it, rounding decides on which side of 0 the input of some ReLU lies.
    """
    for name, child in net.named_children():
        if name not in ("layer4", "fc"):
            child.eval().requires_grad_(False)


def references(build, x, targets, loss, optimiser, dtype):
    net, layer = build()
    net = fill(net.double()).to(dtype)
    x, targets, weights = x.to(dtype), targets.to(dtype), (0.5, 0.25)
    trained, trained_layer = copy.deepcopy((net, layer))
    net.eval()
    with torch.no_grad():
        features = net.features(x)
        out = {"features": features, "logits": net.fc(features)}

    net.train()
    begin_gradients(net)
    kink, (losses, total) = nearest_kink(lambda: objective(net, layer, x, targets, loss, weights, 1))
    total.backward()
    out |= {"losses": losses}
    out |= {f"grad.{key}": p.grad for key, p in net.named_parameters()}
    statistics = ("running_mean", "running_var", "usage", "running", "steps")
    out |= {f"after.{key}": b for key, b in net.named_buffers() if key.endswith(statistics)}

    trained.train()
    if isinstance(trained, ResNet):
        freeze(trained)
    optimiser = optimiser(trained.parameters())
    curve = []
    for step in range(1, STEPS + 1):
        begin_gradients(trained)
        _, total = objective(trained, trained_layer, x, targets, loss, weights, step)
        total.backward()
        optimiser.step()
        curve.append(total.detach())
    out["curve"] = torch.stack(curve)
    return {key: value.detach().double().numpy() for key, value in out.items()}, {
        "nearest choice": trained_layer.gate.nearest, "nearest kink": kink}


def distance(a, b):
    return np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30)


def errors(found, exact):
    """The worst relative distance of each kind of tensor."""
    worst = {}
    for key, value in exact.items():
        kind = key.split(".")[0]
        worst[kind] = max(worst.get(kind, 0), distance(found[key], value))
    return {kind: float(f"{error:.1g}") for kind, error in worst.items()}


def is_stored(name, key):
    """Of one ResNet everything is; of the others no gradients and statistics of the stages below the
    experts, which are the same or nearly so.
    """
    below = any(f".layer{stage}." in key for stage in (1, 2, 3))
    return not below or name == "shazeer"


def images():
    """Noise around a colour of each image, so that gates tell images apart. Of forty draws the one whose
    nearest kink (nearest_kink()) is the farthest.
    """
    colours = stream("moe.colours34", IMAGES * 3).reshape(IMAGES, 1, 1, 3)
    pixels = stream("moe.pixels34", IMAGES * SIZE * SIZE * 3).reshape(IMAGES, SIZE, SIZE, 3)
    return (127.5 + 80 * colours + 47 * pixels).astype(np.uint8)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "../files"
    pixels = images()
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64) * 255
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64) * 255
    x = ((torch.from_numpy(pixels).double() - mean) / std).permute(0, 3, 1, 2)
    tags = torch.zeros(IMAGES, TAGS, dtype=torch.float64)
    for i in range(IMAGES):
        tags[i, [i % TAGS, (3 * i + 1) % TAGS]] = 1  # two tags, or one twice
    shares = tags / tags.sum(1, keepdim=True)

    def sgd(parameters):
        return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)

    def adamw(parameters):
        return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05)

    networks = {kind: (lambda kind=kind: sparse_resnet(kind), shares, softmax_loss, sgd)
                for kind in ("shazeer", "pavlitska", "constraint")}
    for name, *options in (("vision", 20, True, False), ("priority", 16, False, True)):
        networks[name] = (lambda options=options: vision_moe(*options), tags, sigmoid_loss, adamw)
    out, metadata = {"images": pixels}, {"made by": f"PyTorch {torch.__version__}"}
    for name, (build, targets, loss, optimiser) in networks.items():
        exact, margins = references(build, x, targets, loss, optimiser, torch.float64)
        single, _ = references(build, x, targets, loss, optimiser, torch.float32)
        out |= {f"{name}.{key}": value.astype(np.float32) for key, value in exact.items()
                if is_stored(name, key)}
        metadata[name] = json.dumps({"float32 error": errors(single, exact)} | margins)
        print(name, metadata[name])
    safetensors_file.save(f"{folder}/moe.safetensors", out, metadata)


main()
