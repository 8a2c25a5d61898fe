#!/usr/bin/env python3
"""Makes tests/files/gates.safetensors: the gates of three papers between two linear layers, with their
losses, plainly by the formulas in PyTorch, float64; and the hard constraints over some batches in NumPy.

  python3 make_gate_references.py ../files

Weights are not stored: torch_resnet.py has the closed form that makes them from their names.
"""
import sys

import numpy as np
import torch
from torch import nn

import safetensors_file
from torch_gates import kept, noise, shazeer_load, squared_variation, top_k, vision_load
from torch_resnet import fill, softmax_loss, stream

TAGS, FEATURES, ROWS, EXPERTS, CHOSEN, SEED = 7, 24, 40, 6, 2, 5


class Shazeer(nn.Module):
    """Shazeer et al. 2017, equations 3 to 7 and appendix A; the noise's floor of 0.01 outside softplus."""
    names, op = ("importance", "load"), 4  # below, deviation, softplus, noise

    def __init__(self):
        super().__init__()
        self.below, self.deviation = nn.Linear(FEATURES, EXPERTS), nn.Linear(FEATURES, EXPERTS)
        self.fc = nn.Linear(EXPERTS, TAGS)

    def forward(self, x):
        clean = self.below(x)
        sigma = nn.functional.softplus(self.deviation(x)) + 0.01
        noisy = clean + noise(SEED, 1, self.op, len(x), EXPERTS) * sigma
        gates, p = top_k(noisy, CHOSEN, softmax=True), shazeer_load(clean, noisy, sigma, CHOSEN)
        return self.fc(gates), (squared_variation(gates.sum(0)), squared_variation(p.sum(0)))


class Pavlitska(nn.Module):
    """Pavlitska et al. 2022, soft constraints; the noise has 0.01 inside softplus."""
    names, op = ("importance", "divergence"), 4

    def __init__(self):
        super().__init__()
        self.below, self.deviation = nn.Linear(FEATURES, EXPERTS), nn.Linear(FEATURES, EXPERTS)
        self.fc = nn.Linear(EXPERTS, TAGS)

    def forward(self, x):
        sigma = nn.functional.softplus(self.deviation(x) + 0.01)
        noisy = self.below(x) + noise(SEED, 1, self.op, len(x), EXPERTS) * sigma
        gates = top_k(noisy, CHOSEN, softmax=True)
        share = gates.sum(0) / len(x)
        return self.fc(gates), (squared_variation(gates.sum(0), 1, 1e-10),
                                (share * torch.log(share * EXPERTS)).sum())


class Vision(nn.Module):
    """Riquelme et al. 2021: softmax before top-k, capacity with Batch Priority Routing."""
    names, op = ("importance", "load"), 2  # below, noise

    def __init__(self):
        super().__init__()
        self.below, self.fc = nn.Linear(FEATURES, EXPERTS), nn.Linear(EXPERTS, TAGS)

    def forward(self, x):
        clean = self.below(x)
        noisy = clean + noise(SEED, 1, self.op, len(x), EXPERTS) / EXPERTS
        gates = top_k(torch.softmax(noisy, 1), CHOSEN, softmax=False)
        found = kept(gates, CHOSEN, factor=0.8, priority=True)
        assert 0 < found.sum() < len(gates) * CHOSEN
        p = vision_load(clean, noisy, 1 / EXPERTS, CHOSEN)
        return self.fc(gates * found), (squared_variation(torch.softmax(clean, 1).sum(0)),
                                        squared_variation(p.mean(0)))


def references(name, net, x):
    net = fill(net.double())
    targets = torch.zeros(len(x), TAGS, dtype=torch.float64)
    targets[torch.arange(len(x)), torch.arange(len(x)) % TAGS] = 1
    logits, losses = net(torch.from_numpy(x).double())
    tags = softmax_loss(logits, targets)
    (tags + 0.5 * losses[0] + 0.25 * losses[1]).backward()
    out = {f"{name}.loss": torch.stack([tags, *losses])}
    out |= {f"{name}.grad.{key}": p.grad for key, p in net.named_parameters()}
    return {key: value.detach().numpy().astype(np.float32) for key, value in out.items()}


def hard_constraint(kind, limit, batches):
    """Pavlitska et al. 2022: what each expert's statistic is after each batch of logits."""
    experts = batches.shape[2]
    running, history = np.zeros(experts), []
    for step, logits in enumerate(batches, 1):
        threshold = limit if kind == "relative" else 1 / experts + limit
        masked = running > threshold
        assert abs(running - threshold).min() > 1e-3
        if masked.all():
            masked[:] = False
        gates = np.zeros_like(logits)
        for row, values in enumerate(np.where(masked, -np.inf, logits)):
            chosen = np.argsort(-values, kind="stable")[:CHOSEN]
            exponentials = np.exp(values[chosen] - values[chosen].max())
            gates[row, chosen] = exponentials / exponentials.sum()
        importance, even = gates.sum(0), len(logits) / experts
        if kind == "relative":
            running = running + (importance - even) / even
        else:
            running = running + (importance / len(logits) - running) / step
        history.append(running)
    return np.array(history, dtype=np.float32)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "../files"
    x = (2 * stream("gates.features", ROWS * FEATURES)).reshape(ROWS, FEATURES).astype(np.float32)
    out = {"input": x}
    for name, net in (("shazeer", Shazeer()), ("pavlitska", Pavlitska()), ("vision", Vision())):
        out |= references(name, net, x)
    steps, rows, experts = 30, 8, 4
    logits = stream("gates.logits", steps * rows * experts).reshape(steps, rows, experts)
    logits = (3 * logits + np.array([1.5, 0.5, 0, -1])).astype(np.float32)  # the first ones are liked
    out["hard.logits"] = logits
    for kind, limit in (("relative", 0.5), ("mean", 0.1)):
        out[f"hard.{kind}"] = hard_constraint(kind, limit, logits.astype(np.float64))
    safetensors_file.save(f"{folder}/gates.safetensors", out, {"made by": f"PyTorch {torch.__version__}"})


main()
