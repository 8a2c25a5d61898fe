#!/usr/bin/env python3
"""Makes tests/files/metrics.safetensors: scores with many equal ones, tags, and the metrics: those at k by
sorting in NumPy, LRAP and the class-wise mAP (of all images, and of three groups of them) by scikit-learn
(written by 1.9.1).  make_metrics.py [FILE]
"""
import pathlib
import sys

import numpy as np
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

import safetensors_file

here = pathlib.Path(__file__).resolve().parent
target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "files/metrics.safetensors"
rng = np.random.default_rng(3)
images, tags, ks = 150, 57, (1, 5, 10)
scores = np.round(rng.normal(size=(images, tags)) * 4).astype(np.float32)  # many equal scores
truth = [np.sort(rng.choice(tags, size=rng.integers(0, 9), replace=False)) for _ in range(images)]

hits, sizes = [], []
for row, own in zip(scores, truth):
    if len(own) == 0:
        continue
    order = np.argsort(-row, kind="stable")
    relevant = np.isin(order, own)
    hits.append([relevant[:k].sum() for k in ks])
    sizes.append(len(own))
hits, sizes = np.array(hits), np.array(sizes)
table = np.stack([hits.mean(0) / ks, (hits / sizes[:, None]).mean(0), hits.sum(0) / sizes.sum(), (hits > 0).mean(0)])


tagged = np.array([len(own) > 0 for own in truth])
matrix = np.zeros((images, tags), int)
for i, own in enumerate(truth):
    matrix[i, own] = 1


def class_wise(chosen):
    """mAP over the tags that the chosen images have, and how many these are."""
    if not chosen.any():
        return 0, 0
    known = matrix[chosen].any(0)
    return average_precision_score(matrix[chosen][:, known], scores[chosen][:, known], average="macro"), known.sum()


groups = np.arange(images) ** 2 % 3  # none is in the last
tensors = {
    "scores": scores,
    "tag_ptr": np.cumsum([0] + [len(t) for t in truth]).astype(np.int32),
    "tag_ids": np.concatenate(truth).astype(np.int32),
    "expected": table,  # P, R macro, R micro, hit × k
    "lrap": np.array([label_ranking_average_precision_score(matrix[tagged], scores[tagged])]),
    "map": np.array([class_wise(tagged & (groups == g)) for g in range(3)] + [class_wise(tagged)]),
}
safetensors_file.save(target, tensors)
print(target, target.stat().st_size, "bytes")
