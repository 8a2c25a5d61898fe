// Groups of equal points: placeholder pictures, copies. No price parts them, so where they are more
// than a part may hold, no fit can be balanced: they are taken out, each group a part of its own,
// and the others are made equal among themselves. Points count as equal within a radius, a share of
// how far points lie from the origin.
#pragma once

#include <vector>

#include "cluster/point_stream.h"
#include "cluster/row_subset.h"

namespace hardmoe {

struct EqualPoints {
  std::vector<float> point;  ///< one of them
  int64_t count = 0;
  float radius = 0;  ///< how far another lies from it at most
};

struct EqualGroups {
  std::vector<EqualPoints> taken;  ///< more than a part may hold; fewer than there are parts
  std::vector<EqualPoints> left;   ///< an eighth of what a part may hold, or more
};

struct EqualParams {
  int64_t parts = 0;
  double tolerance = 0;
  uint64_t seed = 1;
  /// Scores of points as near as 4e-6 differ by hardly more than float32 rounds them by.
  float nearness = 4e-6F;
};

/// The groups that are larger than the tolerance allows to a part where groups before them have a
/// part each and the others share the rest equally; their rows are added to `taken`. They are
/// looked for in a sample of which 16 points or more should be theirs, and then counted among all.
/// `source` and `pca` are what points are made of.
EqualGroups take_equal_points(const RowSource& source, const Pca* pca, ClusterBackend& backend,
                              const EqualParams& params, RowSet& taken);

/// The most parts that points of which `equal` are equal can be balanced in.
int64_t most_balanced_parts(int64_t points, int64_t equal, double tolerance);

/// Bytes that take_equal_points needs at most besides its streams' own.
int64_t equal_points_bytes(int64_t rows, int64_t cols, int64_t parts);

}  // namespace hardmoe
