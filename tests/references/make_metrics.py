#!/usr/bin/env python3
"""Makes tests/files/metrics.safetensors: scores, tags, and the metrics by sorting, in NumPy.

mean average precision follows scikit-learn's label_ranking_average_precision_score, except that equal
scores rank by tag id.  make_metrics.py [FILE]
"""
import pathlib
import sys

import numpy as np

import safetensors_file

here = pathlib.Path(__file__).resolve().parent
target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "files/metrics.safetensors"
rng = np.random.default_rng(3)
images, tags, ks = 150, 57, (1, 5, 10)
scores = np.round(rng.normal(size=(images, tags)) * 4).astype(np.float32)  # many equal scores
truth = [np.sort(rng.choice(tags, size=rng.integers(0, 9), replace=False)) for _ in range(images)]

precisions, hits, sizes = [], [], []
for row, own in zip(scores, truth):
    if len(own) == 0:
        continue
    order = np.argsort(-row, kind="stable")
    relevant = np.isin(order, own)
    precisions.append((np.cumsum(relevant) / np.arange(1, tags + 1))[relevant].mean())
    hits.append([relevant[:k].sum() for k in ks])
    sizes.append(len(own))
hits, sizes = np.array(hits), np.array(sizes)
table = np.stack([hits.mean(0) / ks, (hits / sizes[:, None]).mean(0), hits.sum(0) / sizes.sum(), (hits > 0).mean(0)])

tensors = {
    "scores": scores,
    "tag_ptr": np.cumsum([0] + [len(t) for t in truth]).astype(np.int32),
    "tag_ids": np.concatenate(truth).astype(np.int32),
    "expected": table,  # P, R macro, R micro, hit × k
    "map": np.array([np.mean(precisions)]),
}
safetensors_file.save(target, tensors)
print(target, target.stat().st_size, "bytes")
