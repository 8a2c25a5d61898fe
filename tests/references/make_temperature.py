#!/usr/bin/env python3
"""Makes tests/files/temperature.safetensors: temperatures of softmax(-d²/T) that make tags likeliest, found by
SciPy 1.17's bounded minimisation (no grid). Needs numpy and scipy.

  make_temperature.py [tests/files/temperature.safetensors]
"""
import pathlib
import sys

import numpy as np
import scipy
from scipy.optimize import minimize_scalar
from safetensors_file import save

out = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / 'files/temperature.safetensors'
random = np.random.default_rng(7)
tensors = {}
for case, true in enumerate((0.3, 2.0, 11.0)):
    images, experts = 120, 3
    d = np.sort(random.gamma(3.0, 2.0, (images, experts)), axis=1).astype(np.float32)
    # One tag an image, which the expert that a softmax at temperature `true` draws thinks likely.
    weights = np.exp(-d.astype(float) / true)
    weights /= weights.sum(1, keepdims=True)
    right = np.array([random.choice(experts, p=w) for w in weights])
    p = random.uniform(0.01, 0.1, (images, experts)).astype(np.float32)
    p[np.arange(images), right] += 0.6

    def loss(log_t):
        w = np.exp(-(d.astype(float) - d[:, :1]) / np.exp(log_t))
        w /= w.sum(1, keepdims=True)
        return -np.log((w * p).sum(1)).sum()

    best = min((minimize_scalar(loss, bounds=(low, low + 2), method='bounded', options={'xatol': 1e-10})
                for low in np.arange(-6, 6, 1.0)), key=lambda found: found.fun)
    tensors[f'{case}.squared_distance'] = d
    tensors[f'{case}.likelihood'] = p
    tensors[f'{case}.temperature'] = np.array([np.exp(best.x)], np.float32)
    print(case, true, np.exp(best.x), 'loss', best.fun)
save(out, tensors, {'scipy': scipy.__version__})
