// Bounds on scores that the CPU keeps from pass to pass. They tell which groups of centroids may
// have come near enough to win a point, so only those are compared with it (Hamerly, Making k-means
// even faster, 2010; one bound a group of centroids as in Ding et al., Yinyang k-means, 2015; here
// with prices).
//
// A bound b is at most the score t² + p of every centroid of a group, where t is the centroid's
// distance from the point. With q the least of all prices, the root r = √(b − q) is kept. When a
// centroid has moved by δ and its price has changed by Δ, its score is at least (t − δ)² + p + Δ.
// Since t ≤ r where t² + p = b, that is at least b − 2rδ + Δ.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/backend.h"
#include "cluster/cpu/centroid_groups.h"
#include "cluster/cpu/screen.h"

namespace hardmoe::cpu {

/// The CPU's PassCache.
struct CpuPassCache final : PassCache {
  /// Makes a cache for so many points, with bounds for at most `most_groups` groups of centroids.
  CpuPassCache(int64_t points, int64_t most_groups, bool settled);
  /// Returns the bytes such a cache takes.
  static int64_t bytes(int64_t points, int64_t most_groups);
  /// Returns how many groups are useful for that many centroids; 0 if a cache is of no use.
  static int64_t useful_groups(int64_t clusters);

  int64_t most_groups;
  std::vector<Measure> measures;  ///< N; relative to `middle`, the same in all passes
  std::vector<float> middle;      ///< D; empty before the first pass
  bool settled;                   ///< see ClusterBackend::make_pass_cache()
  /// The groups of the second pass's centroids, as those of the first pass may still move far; of a
  /// settled cache of the first one's.
  CentroidGroups groups;
  std::vector<float> roots;  ///< N × most_groups: √(b − q); the point's own centroid is left out
  Tensor centroids;          ///< K×D: the previous pass's, to which `roots` refer
  std::vector<float> prices;  ///< K: the previous pass's
};

/// How each group's bounds change from the previous pass's rule to the next.
class Drift {
 public:
  Drift(const CpuPassCache& before, const PricedCentroids& now);

  /// Returns the groups (one bit each) whose new bound is not above `score`. Writes the new bounds,
  /// computed from `roots`, to `bounds`.
  uint32_t groups(const float* roots, float score, float* bounds) const;

 private:
  // By group.
  std::vector<float> moved_;   ///< the farthest that a centroid of the group moved
  std::vector<float> prices_;  ///< the least previous price plus the group's least price change
};

/// Computes roots[g] ≤ √(bounds[g] − least_price), and 0 where that is not a number.
void bound_roots(const float* bounds, int64_t count, float least_price, float* roots);

}  // namespace hardmoe::cpu
