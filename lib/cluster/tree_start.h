// Starting centroids for many clusters, by two levels: √K groups of points, and in each as many
// centroids as its share of the inertia. Comparing a point with the centroids of its group alone costs
// √K distances instead of K. Not a fit: centroids at the groups' borders are not the best ones, which
// some passes of k-means over all centroids mend.
#pragma once

#include "cluster/kmeans.h"

namespace hardmoe {

/// Returns K centroids (K×D float32) for k-means to begin with, found on `sample` (S×D, S ≥ K) alone.
/// They depend on params.seed, not on the number of threads.
Tensor tree_start(MatrixView sample, const KMeansParams& params);

}  // namespace hardmoe
