// Lloyd's k-means (Lloyd 1982) with a k-means++ start (Arthur & Vassilvitskii 2007), and optionally
// with prices that keep the parts equal (balance.h). Exact and in memory: every point is compared
// with every centroid in every iteration. Not for more than 65,535 clusters.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cluster/backend.h"

namespace hardmoe {

struct KMeansParams {
  int64_t clusters = 8;           ///< K
  int iterations = 25;            ///< at most; fewer where no point moves any more
  uint64_t seed = 1;              ///< of the start and of re-seeding
  double tolerance = 0;           ///< 0: plain k-means; else parts within (1 ± tolerance)·N/K
  int64_t price_sample = 65536;   ///< points that set the prices between iterations
  int64_t start_sample = 16384;   ///< points k-means++ draws from, or 64 a cluster if that is more
  const Tensor* start = nullptr;  ///< centroids to begin from, K×D float32; null: k-means++
};

/// One pass over all points, under the centroids it began with.
struct KMeansIteration {
  double inertia = 0;  ///< Σ ‖z − c‖² over points, c each point's centroid; prices not counted
  int64_t smallest = 0;  ///< points of the smallest part
  int64_t largest = 0;   ///< and of the largest
  int64_t moved = 0;     ///< points whose part changed; all of them in the first iteration
  int64_t reseeded = 0;  ///< empty parts given half of a large one
  double seconds = 0;    ///< since the start
};

struct KMeansResult {
  Tensor centroids;                  ///< K×D float32
  std::vector<float> prices;         ///< K; zeros for plain k-means
  std::vector<uint16_t> assignment;  ///< N: argmin ‖z − c‖² + p_c under these centroids and prices
  std::vector<int64_t> sizes;        ///< K, of that assignment
  double inertia = 0;                ///< of that assignment
  bool balanced = true;              ///< sizes are within the tolerance; true for plain k-means
  std::vector<KMeansIteration> iterations;
};

/// Clusters `points` (N×D, finite). The result depends on the seed and not on the number of
/// threads; another backend differs by float32 rounding. `observe` is called after each iteration,
/// and may throw to stop. Throws Error(usage) for N < K, K outside 1 … 65,535, or starting
/// centroids of another shape.
KMeansResult kmeans(MatrixView points, const KMeansParams& params,
                    const std::function<void(const KMeansIteration&)>& observe = {},
                    ClusterBackend& backend = cpu_cluster_backend());

/// K rows of `points` drawn by greedy k-means++ (the best of 2 + ln K draws each) from a sample of
/// them: K×D float32.
Tensor kmeans_plus_plus(MatrixView points, const KMeansParams& params);

}  // namespace hardmoe
