// Parts that are made after a fit, about one point each: so little of the others' points goes to
// them as a rule of nearest centroids with prices allows.
#pragma once

#include <span>
#include <vector>

#include "cluster/equal_points.h"
#include "cluster/kmeans.h"

namespace hardmoe {

/// What all parts are to be in the end.
struct PartsWanted {
  double tolerance = 0;                    ///< 0: whatever comes
  std::span<const uint16_t> part_of = {};  ///< of each centroid; empty: each is a part
  int64_t parts = 0;
};

/// `fit`, of the points that are not in `taken`, with a part for each group of equal points, after
/// its own, and parts without points where K, `wanted.parts`, is more than that. Where a group's
/// part takes other points too, the prices of the others are fitted again to what is left, so that
/// they stay equal among themselves. `points` are of all rows of `source`, and `wanted.part_of` of
/// the fit's centroids.
KMeansResult add_equal_points(PointStream& points, const RowSource& source, const Pca* pca,
                              KMeansResult fit, std::span<const EqualPoints> groups,
                              const PartsWanted& wanted);

/// Gives parts without points one from a large part each, the farthest from its centroid, as long
/// as there are different points; and fits prices again where a tolerance is wanted.
void fill_empty_parts(PointStream& points, const PartsWanted& wanted, KMeansResult& result);

}  // namespace hardmoe
