// Groups of equal points, such as placeholder pictures or copies. No price can separate equal
// points, so a group larger than a part may be makes a balanced fit impossible. Such groups are
// taken out and become parts of their own; the other points are balanced among themselves. Points
// count as equal within a radius that is a fraction of the points' usual distance from the origin.
#pragma once

#include <vector>

#include "cluster/point_stream.h"
#include "cluster/row_subset.h"

namespace hardmoe {

/// One group of equal points.
struct EqualPoints {
  std::vector<float> point;  ///< D: the mean of the group's sampled points
  int64_t count = 0;         ///< points of the group, among all points
  float radius = 0;          ///< the largest distance of a point of the group from `point`
};

/// The groups found.
struct EqualGroups {
  std::vector<EqualPoints> taken;  ///< larger than a part may be; fewer groups than parts
  std::vector<EqualPoints> left;   ///< smaller, but at least an eighth of what a part may hold
};

/// Settings of the search for equal points.
struct EqualParams {
  int64_t parts = 0;     ///< parts to balance, K
  double tolerance = 0;  ///< allowed deviation of a part's size from the mean, as a share of it
  uint64_t seed = 1;
  /// The radius as a share of the points' usual norm. Scores of points this near differ by hardly
  /// more than float32's rounding.
  float nearness = 4e-6F;
};

/// Finds the groups that are too large for a part and adds their rows to `taken`. Whether a group
/// is too large is decided largest first: each earlier group has a part of its own, and the rest is
/// shared equally. Groups are looked for in a sample that holds about 16 points of each part at
/// least, and then counted among all points. Points are the rows of `source`, projected by `pca`
/// (null: as they are).
EqualGroups take_equal_points(const RowSource& source, const Pca* pca, ClusterBackend& backend,
                              const EqualParams& params, RowSet& taken);

/// Returns the largest number of parts in which `points` points can be balanced when `equal` of
/// them are equal.
int64_t most_balanced_parts(int64_t points, int64_t equal, double tolerance);

/// Returns the most bytes that take_equal_points needs besides its streams' buffers.
int64_t equal_points_bytes(int64_t rows, int64_t cols, int64_t parts);

}  // namespace hardmoe
