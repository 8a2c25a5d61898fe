// Parts that are made after a fit, about one point each: so little of the others' points goes to
// them as a rule of nearest centroids with prices allows.
#pragma once

#include <span>
#include <vector>

#include "cluster/equal_points.h"
#include "cluster/fill_parts.h"

namespace hardmoe {

/// `fit`, of the points that are not in `taken`, with a part for each group of equal points, after
/// its own, and parts without points where K, `wanted.parts`, is more than that. Where a group's
/// part takes other points too, the prices of the others are fitted again to what is left, so that
/// they stay equal among themselves. `points` are of all rows of `source`, and `wanted.part_of` of
/// the fit's centroids.
KMeansResult add_equal_points(PointStream& points, const RowSource& source, const Pca* pca,
                              KMeansResult fit, std::span<const EqualPoints> groups,
                              const PartsWanted& wanted);

}  // namespace hardmoe
