// Many centroids in groups of near ones, so that a point need be compared with few of them: with the
// groups' centers, then with the centroids of the nearest groups alone, N·√K distances instead of
// N·K. The nearest centroid is nearly always among them; not for callers that must have it for sure.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/backend.h"
#include "tensor/tensor.h"

namespace hardmoe {

/// Centroids by groups.
struct CentroidTree {
  Tensor centers;                    ///< G×D float32
  std::vector<uint16_t> order;       ///< K: the centroids' numbers, group by group
  std::vector<int32_t> first = {0};  ///< G + 1: where each group begins in `order`; none is empty
  int64_t compared = 0;              ///< groups whose centroids a point is compared with
  double agreement = 0;  ///< the share of the probes that so find the best of all centroids

  int64_t groups() const { return centers.size(0); }
  /// Returns whether comparing these groups is faster than comparing all centroids.
  bool is_worthwhile() const { return 2 * compared < groups(); }
};

/// Returns the tree of a rule's centroids, which compares as few groups as let 999 of 1,000 of the
/// probes find the best of all centroids. The same one for the same centroids, prices and probes.
CentroidTree centroid_tree(const PricedCentroids& rule, const Points& probes,
                           ClusterBackend& backend);

}  // namespace hardmoe
