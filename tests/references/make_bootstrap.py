#!/usr/bin/env python3
"""Makes tests/files/bootstrap.safetensors: values of two systems on the same images, and what is known of the
difference of their means: SciPy's paired percentile bootstrap of one seed; of three, the same definition by
NumPy's draws of seeds and images (written by SciPy 1.17.1, NumPy 2.4.6).  make_bootstrap.py [FILE]
"""
import pathlib
import sys

import numpy as np
from scipy.stats import bootstrap

import safetensors_file

here = pathlib.Path(__file__).resolve().parent
target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "files/bootstrap.safetensors"
rng = np.random.default_rng(5)
images, seeds = 400, 3
skill = rng.normal(size=images)
a = (skill + rng.normal(size=(seeds, images)) + np.array([[0.15], [0.05], [0.3]]) > 0).astype(np.float32)
b = (skill + rng.normal(size=(seeds, images)) > 0).astype(np.float32)

one = bootstrap((a[0], b[0]), lambda x, y, axis: x.mean(axis) - y.mean(axis), paired=True, vectorized=True,
                n_resamples=200_000, method="percentile", batch=2000, rng=np.random.default_rng(1))
d = (a - b).astype(float)
means = []
for _ in range(100_000):
    drawn = rng.integers(images, size=images)
    means.append(d[rng.integers(seeds, size=seeds)][:, drawn].mean())
safetensors_file.save(target, {
    "a": a, "b": b,
    "one": np.array([d[0].mean(), one.confidence_interval.low, one.confidence_interval.high]),
    "three": np.array([d.mean(), d.mean(1).std(ddof=1) / np.sqrt(seeds), *np.percentile(means, [2.5, 97.5])]),
})
print(target, target.stat().st_size, "bytes", one.confidence_interval, np.percentile(means, [2.5, 97.5]))
