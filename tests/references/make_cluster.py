#!/usr/bin/env python3
"""Makes tests/files/cluster.safetensors: data and what NumPy and FAISS say of it.

Needs python3-numpy and python3-faiss.  make_cluster.py [FILE]
"""
import pathlib
import sys

import faiss
import numpy as np

import safetensors_file

here = pathlib.Path(__file__).resolve().parent
target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "files/cluster.safetensors"
rng = np.random.default_rng(7)

# Correlated, off-centre data of a width that fills no whole vector.
n, d, p = 700, 37, 11
mixing = rng.normal(size=(d, d)) * np.linspace(3, 0.1, d)
pca_data = (rng.normal(size=(n, d)) @ mixing.T + rng.normal(size=d) * 5).astype(np.float32)
x = pca_data.astype(np.float64)
mean = x.mean(0)
values, vectors = np.linalg.eigh(np.cov(x.T))
values, vectors = values[::-1], vectors[:, ::-1].T
vectors *= np.sign(vectors[np.arange(d), np.abs(vectors).argmax(1)])[:, None]
z = (x - mean) @ vectors[:p].T

# FAISS: k-means from given centroids, so that the start does not matter.
k, iterations = 10, 6
centres = rng.normal(size=(k, 24)) * 1.2
points = (centres[rng.integers(k, size=1500)] + rng.normal(size=(1500, 24))).astype(np.float32)
start = points[rng.choice(len(points), k, replace=False)].copy()
clustering = faiss.Clustering(24, k)
clustering.niter = iterations
clustering.max_points_per_centroid = 10**6
clustering.min_points_per_centroid = 1
faiss.copy_array_to_vector(start.ravel(), clustering.centroids)
index = faiss.IndexFlatL2(24)
clustering.train(points, index)
centroids = faiss.vector_float_to_array(clustering.centroids).reshape(k, 24)
distance, label = index.search(points, 1)
stats = [clustering.iteration_stats.at(i).obj for i in range(iterations)]

tensors = {
    "pca.data": pca_data, "pca.mean": mean, "pca.variance": values[:p], "pca.total": np.array([values.sum()]),
    "pca.components": vectors[:p], "pca.projected": z,
    "kmeans.points": points, "kmeans.start": start, "kmeans.centroids": centroids,
    "kmeans.assignment": label[:, 0].astype(np.int32),
    "kmeans.inertia": np.array(stats + [float(distance.astype(np.float64).sum())]),
}
safetensors_file.save(target, tensors)
print(target, target.stat().st_size, "bytes")
