#!/usr/bin/env python3
"""Makes tests/files/base_share.safetensors: logits of a base and an expert for images' tags, and the base's share
that makes the tags likeliest, for each mean and loss, by SciPy's bounded minimisation (written by SciPy 1.17.1).
  make_base_share.py [FILE]
"""
import pathlib
import sys

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax

import safetensors_file

here = pathlib.Path(__file__).resolve().parent
target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "files/base_share.safetensors"
rng = np.random.default_rng(11)
images, tags = 200, 12
own = [np.sort(rng.choice(tags, size=rng.integers(0, 4), replace=False)) for _ in range(images)]
y = np.zeros((images, tags))
for i, ids in enumerate(own):
    y[i, ids] = 1
signal = 2.5 * y - 2
base = (signal + 1.2 * rng.normal(size=y.shape)).astype(np.float32)
expert = (1.6 * signal + 1.5 * rng.normal(size=y.shape)).astype(np.float32)
some = y.any(1)
b, e, y = base[some].astype(float), expert[some].astype(float), y[some]


def softmax_geometric(a):
    return -((y * log_softmax(a * b + (1 - a) * e, axis=1)).sum(1) / y.sum(1)).mean()


def softmax_arithmetic(a):
    p = a * np.exp(log_softmax(b, axis=1)) + (1 - a) * np.exp(log_softmax(e, axis=1))
    return -((y * np.log(p)).sum(1) / y.sum(1)).mean()


def sigmoid_geometric(a):
    z = a * b + (1 - a) * e
    return -(y * log_expit(z) + (1 - y) * log_expit(-z)).sum(1).mean()


def sigmoid_arithmetic(a):
    p = a * expit(b) + (1 - a) * expit(e)
    return -(y * np.log(p) + (1 - y) * np.log1p(-p)).sum(1).mean()


losses = [softmax_geometric, softmax_arithmetic, sigmoid_geometric, sigmoid_arithmetic]
shares = [minimize_scalar(f, bounds=(0, 1), method="bounded", options={"xatol": 1e-10}).x for f in losses]
safetensors_file.save(target, {
    "logits": np.concatenate([base, expert], 1),
    "tag_ptr": np.cumsum([0] + [len(t) for t in own]).astype(np.int32),
    "tag_ids": np.concatenate(own).astype(np.int32),
    "shares": np.array(shares),
})
print(target, target.stat().st_size, "bytes", shares)
