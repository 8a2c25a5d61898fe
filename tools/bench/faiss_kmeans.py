#!/usr/bin/env python3
"""FAISS k-means on an .npy of float32 rows, as bench-kmeans does it; one JSON line.
   Needs python3-faiss, python3-numpy and libopenblas0-pthread (the reference BLAS is nine times slower).

     faiss_kmeans.py X.npy --clusters K [--iterations N]
     faiss_kmeans.py X.npy --make        writes X.npy: 1,000,000 × 256, 200 uneven Gaussian clusters
"""
import argparse
import json
import resource
import time

import numpy as np

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("file")
parser.add_argument("--clusters", type=int, default=64)
parser.add_argument("--iterations", type=int, default=10)
parser.add_argument("--make", action="store_true")
options = parser.parse_args()

if options.make:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, 256)).astype(np.float32)
    label = rng.choice(200, size=1_000_000, p=rng.dirichlet(np.ones(200) * 0.5))
    noise = rng.normal(size=(1_000_000, 256)).astype(np.float32)
    np.save(options.file, centres[label] + noise * np.float32(1.5))
    raise SystemExit

import faiss

x = np.ascontiguousarray(np.load(options.file), dtype=np.float32)
start = time.time()
kmeans = faiss.Kmeans(x.shape[1], options.clusters, niter=options.iterations, seed=1,
                      max_points_per_centroid=10**9, min_points_per_centroid=1)
kmeans.train(x)
trained = time.time()
distance, assignment = kmeans.index.search(x, 1)
assigned = time.time()
sizes = np.bincount(assignment[:, 0], minlength=options.clusters)
print(json.dumps({
    "n": len(x), "d": x.shape[1], "k": options.clusters, "train_s": trained - start,
    "assign_s": assigned - trained, "inertia": float(distance.sum(dtype=np.float64)) / len(x),
    "min": int(sizes.min()), "max": int(sizes.max()),
    "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
