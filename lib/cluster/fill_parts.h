// Parts without points given some. Used after a fit; not for empty clusters during k-means, which
// are given half of a large one there.
#pragma once

#include "cluster/kmeans.h"

namespace hardmoe {

/// What the sizes of all parts should be in the end.
struct PartsWanted {
  double tolerance = 0;                    ///< 0: any sizes
  std::span<const uint16_t> part_of = {};  ///< F: each centroid's part; empty: each is a part
  int64_t parts = 0;                       ///< number of parts, where part_of is given
};

/// Sets the result's sizes, inertia and `balanced` from a pass's totals.
void set_totals(const PassTotals& totals, const PartsWanted& wanted, KMeansResult& result);

/// Moves a centroid of each empty part to the farthest point of a large part, one point each, as
/// long as there are points that differ from their centroid, and assigns all points again.
void fill_empty_parts(PointStream& points, const PartsWanted& wanted, KMeansResult& result);

}  // namespace hardmoe
