#!/usr/bin/env python3
"""Makes tests/files/probe.safetensors: features, classes and experts of a few images, and what scikit-learn
(1.9.1) says of them: retrieval by NearestNeighbors, a linear probe by LogisticRegression.  make_probe.py [FILE]
"""
import pathlib
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

import safetensors_file

here = pathlib.Path(__file__).resolve().parent
target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "files/probe.safetensors"
rng = np.random.default_rng(17)
classes, width, k, l2 = 7, 9, 10, 0.01
middles = rng.normal(size=(classes, width)) * 1.2


def images(n):
    leaf = rng.integers(classes, size=n)
    rows = middles[leaf] + rng.normal(size=(n, width)) * rng.uniform(0.5, 3, size=width) + 2
    return rows.astype(np.float32), leaf


train, train_leaf = images(150)
rows, leaf = images(130)
leaf[::13] = -1  # without a leaf tag
leaf[5] = classes  # alone with its own
experts = rng.integers(3, size=len(rows))


def retrieval(allowed):
    """Means over images that have a leaf tag which another allowed one has."""
    sums, queries = np.zeros(3), 0
    for i in range(len(rows)):
        others = np.flatnonzero(allowed(i))
        relevant = (leaf[others] == leaf[i]).sum()
        if leaf[i] < 0 or relevant == 0:
            continue
        near = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(rows[others].astype(float))
        found = (leaf[others[near.kneighbors(rows[i:i + 1].astype(float))[1][0]]] == leaf[i]).sum()
        sums += [found / k, found / relevant, found > 0]
        queries += 1
    return [queries, *(sums / queries)]


numbers = np.arange(len(rows))
scaler = StandardScaler().fit(train.astype(float))
model = LogisticRegression(C=1 / (len(train) * l2), tol=1e-10, max_iter=10000).fit(scaler.transform(train.astype(float)), train_leaf)
safetensors_file.save(target, {
    "train": train, "train_leaf": train_leaf.astype(np.int32), "rows": rows, "leaf": leaf.astype(np.int32),
    "experts": experts.astype(np.uint16),
    "all": np.array(retrieval(lambda i: numbers != i)),
    "across": np.array(retrieval(lambda i: experts != experts[i])),
    "weight": model.coef_, "bias": model.intercept_,
    "predicted": model.predict(scaler.transform(rows.astype(float))).astype(np.int32),
})
print(target, target.stat().st_size, "bytes", retrieval(lambda i: numbers != i), model.n_iter_)
