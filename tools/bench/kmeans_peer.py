#!/usr/bin/env python3
"""K-means of an .npy of float32 rows by another program, as bench-kmeans does it; one JSON line.
   Needs tools/setup.sh --peers (.cache/peers/bin/python).

     kmeans_peer.py X.npy PEER --clusters K [--iterations N] [--tolerance T]
     kmeans_peer.py X.npy --make [ROWSxCOLS]

   PEER: superkmeans, faiss or sklearn: all points, N iterations from a random start; superkmeans-tree: its
   hierarchical mode as it comes; constrained: k-means-constrained, parts within (1 ± T)·N/K, N iterations at
   most. Seconds end with an assignment of all points; inertia is summed here in float64.
   --make writes X.npy: 1000000x256, or as said, around 200 uneven Gaussian clusters.
"""
import argparse
import json
import resource
import time
from importlib.metadata import version

import numpy as np


def make(file, form):
    rows, cols = map(int, form.split("x"))
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, cols)).astype(np.float32)
    label = rng.choice(200, size=rows, p=rng.dirichlet(np.ones(200) * 0.5))
    noise = rng.normal(size=(rows, cols)).astype(np.float32)
    np.save(file, centres[label] + noise * np.float32(1.5))


def superkmeans(x, options):
    import superkmeans as library
    if options.peer == "superkmeans":
        fit = library.SuperKMeans(options.clusters, x.shape[1], hierarchical=False, iters=options.iterations,
                                  sampling_fraction=1.0, max_points_per_cluster=10**9, early_termination=False,
                                  n_threads=options.threads, seed=options.seed)
    else:
        fit = library.SuperKMeans(options.clusters, x.shape[1], hierarchical=True, n_threads=options.threads,
                                  seed=options.seed)
    centroids = fit.train(x)
    trained = time.time()
    return centroids, np.asarray(fit.assign(x, centroids)).reshape(-1), trained


def faiss(x, options):
    import faiss as library
    library.omp_set_num_threads(options.threads)
    fit = library.Kmeans(x.shape[1], options.clusters, niter=options.iterations, seed=options.seed,
                         max_points_per_centroid=10**9, min_points_per_centroid=1)
    fit.train(x)
    trained = time.time()
    return fit.centroids, fit.index.search(x, 1)[1][:, 0], trained


def sklearn(x, options):
    from sklearn.cluster import KMeans
    fit = KMeans(options.clusters, init="random", n_init=1, max_iter=options.iterations, tol=0, algorithm="lloyd",
                 random_state=options.seed).fit(x)
    return fit.cluster_centers_, fit.labels_, time.time()


def constrained(x, options):
    from k_means_constrained import KMeansConstrained
    mean = len(x) / options.clusters
    fit = KMeansConstrained(options.clusters, size_min=int(np.ceil((1 - options.tolerance) * mean)),
                            size_max=int((1 + options.tolerance) * mean), n_init=1, max_iter=options.iterations,
                            random_state=options.seed, n_jobs=options.threads).fit(x)
    return fit.cluster_centers_, fit.labels_, time.time()


PEERS = {"superkmeans": (superkmeans, "superkmeans"), "superkmeans-tree": (superkmeans, "superkmeans"),
         "faiss": (faiss, "faiss-cpu"), "sklearn": (sklearn, "scikit-learn"),
         "constrained": (constrained, "k-means-constrained")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("peer", nargs="?", choices=PEERS)
    parser.add_argument("--make", nargs="?", const="1000000x256")
    parser.add_argument("--clusters", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.make:
        return make(options.file, options.make)
    run, package = PEERS[options.peer]
    x = np.ascontiguousarray(np.load(options.file), dtype=np.float32)
    start = time.time()
    centroids, part, trained = run(x, options)
    done = time.time()
    inertia = 0.0
    for first in range(0, len(x), 50000):
        rows = x[first:first + 50000].astype(np.float64)
        inertia += float(((rows - centroids[part[first:first + 50000]]) ** 2).sum())
    sizes = np.bincount(part, minlength=options.clusters)
    print(json.dumps({
        "peer": options.peer, "version": version(package), "n": len(x), "d": x.shape[1], "k": options.clusters,
        "train_s": trained - start, "assign_s": done - trained, "inertia": inertia / len(x),
        "min": int(sizes.min()), "max": int(sizes.max()),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == "__main__":
    main()
