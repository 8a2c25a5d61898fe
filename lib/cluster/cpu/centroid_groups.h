// Groups of centroids that lie near one another. Each group fills whole panels of a product's
// right-hand side, so a product can skip the groups that are far from a point.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/matrix_view.h"

namespace hardmoe::cpu {

/// The grouped order of K centroids.
struct CentroidGroups {
  std::vector<uint16_t> order;        ///< K: the centroid in each column
  std::vector<int32_t> first_column;  ///< each group's first column, then K rounded up to panels

  /// Returns the number of groups.
  int64_t count() const { return static_cast<int64_t>(first_column.size()) - 1; }
};

/// Returns at most `most` groups of centroids (K×D), each of whole panels of `columns` centroids.
/// Groups are made by halving again and again along the line between two far-apart centroids. A
/// single group keeps the order of the centroids' numbers.
CentroidGroups near_groups(MatrixView centroids, int64_t columns, int64_t most);

}  // namespace hardmoe::cpu
