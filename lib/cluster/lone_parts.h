// Parts made after a fit, each around one group of equal points. A part takes as few of the other
// points as a rule of nearest centroids with prices allows.
#pragma once

#include <span>
#include <vector>

#include "cluster/equal_points.h"
#include "cluster/fill_parts.h"

namespace hardmoe {

/// Returns `fit` with further parts after its own: one for each group of equal points, then parts
/// without points until there are `wanted.parts`. `fit` was made without the rows of the groups.
/// Where a group's part also takes other points, the other parts' prices are fitted again to the
/// rest, so that those parts stay equal among themselves. `points` are all rows of `source`,
/// projected by `pca`; `wanted.part_of` is that of the fit's centroids.
KMeansResult add_equal_points(PointStream& points, const RowSource& source, const Pca* pca,
                              KMeansResult fit, std::span<const EqualPoints> groups,
                              const PartsWanted& wanted);

}  // namespace hardmoe
