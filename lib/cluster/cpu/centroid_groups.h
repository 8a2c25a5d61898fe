// Centroids in groups that lie near one another, each of whole panels of a product's right-hand
// side, so that a product can leave out those that are far from a point.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/matrix_view.h"

namespace hardmoe::cpu {

struct CentroidGroups {
  std::vector<uint16_t> order;        ///< K: the centroid of each column
  std::vector<int32_t> first_column;  ///< of each group, then K rounded up to whole panels

  int64_t count() const { return static_cast<int64_t>(first_column.size()) - 1; }
};

/// At most `most` groups of panels of `columns` centroids: K×D, halved again and again along the
/// line between two that are far apart. One group is by number.
CentroidGroups near_groups(MatrixView centroids, int64_t columns, int64_t most);

}  // namespace hardmoe::cpu
