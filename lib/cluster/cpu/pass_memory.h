// What the CPU remembers of points from pass to pass, and which groups of centroids it has to
// compare a point with on account of it: those that may have come near enough to win it (Hamerly,
// Making k-means even faster, 2010; a bound a group of centroids as in Ding et al., Yinyang
// k-means, 2015; here with prices).
//
// A bound b is below the scores t² + p of a group's centroids, t their distances from the point; q
// the least price of all; what is kept is the root r = √(b − q). Where a centroid has moved by δ
// and its price by Δ, its score is (t − δ)² + p + Δ at least. Since t ≤ r where t² + p = b, that is
// not less than b − 2rδ + Δ.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/backend.h"
#include "cluster/cpu/centroid_groups.h"
#include "cluster/cpu/screen.h"

namespace hardmoe::cpu {

struct CpuMemory final : PassMemory {
  CpuMemory(int64_t points, int64_t most_groups);
  static int64_t bytes(int64_t points, int64_t most_groups);
  /// How many groups of so many centroids are of use; 0 where a memory is of none.
  static int64_t useful_groups(int64_t clusters);

  int64_t most_groups;
  std::vector<Measure> measures;  ///< N; about one middle for all passes
  std::vector<float> middle;      ///< D; empty before the first pass
  /// Of the second pass's centroids: those of the first have still far to go.
  CentroidGroups groups;
  std::vector<float> roots;   ///< N × most_groups, of centroids other than the point's own
  Tensor centroids;           ///< K×D, the rule of the pass before, with roots for it
  std::vector<float> prices;  ///< K
};

/// From one rule to the next: how the groups' bounds fall.
class Drift {
 public:
  Drift(const CpuMemory& before, const PricedCentroids& now);

  /// The groups, a bit each, with a bound not above `score`, from the roots; and bounds now.
  uint32_t groups(const float* roots, float score, float* bounds) const;

 private:
  // By group.
  std::vector<float> moved_;   ///< the most that one of its centroids did
  std::vector<float> prices_;  ///< the least price before of all, plus the group's least change
};

/// Roots to keep of bounds: not more than √(bound − least_price), 0 where that is not a number.
void bound_roots(const float* bounds, int64_t count, float least_price, float* roots);

}  // namespace hardmoe::cpu
