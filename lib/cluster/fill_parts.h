// Points for parts that have none.
#pragma once

#include "cluster/kmeans.h"

namespace hardmoe {

/// What all parts are to be in the end.
struct PartsWanted {
  double tolerance = 0;                    ///< 0: whatever comes
  std::span<const uint16_t> part_of = {};  ///< of each centroid; empty: each is a part
  int64_t parts = 0;
};

/// Sets sizes, inertia and balanced by what a pass found.
void set_totals(const PassTotals& totals, const PartsWanted& wanted, KMeansResult& result);

/// Gives parts without points one from a large part each, the farthest from its centroid, as long
/// as there are different points.
void fill_empty_parts(PointStream& points, const PartsWanted& wanted, KMeansResult& result);

}  // namespace hardmoe
