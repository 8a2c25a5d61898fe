// Centroids and prices for parts around single points. Computed in float64, because scores must
// differ by more than float32's rounding.
#pragma once

#include <span>

#include "cluster/equal_points.h"

namespace hardmoe {

/// Returns ‖a − b‖², summed in float64.
double exact_squared_distance(const float* a, const float* b, int64_t depth);

/// Returns how much lower a score must be than those of the other centroids (K×D) for float32 to
/// tell them apart, at points within `radius` of `point`.
double score_margin(const float* point, double radius, MatrixView centroids,
                    std::span<const float> prices);

/// Sets the prices of the centroids from `first` on (one a group), so that each group's centroid
/// wins the group's points by a small margin, over the centroids before `first` and over the other
/// groups'.
void price_groups(std::span<const EqualPoints> groups, MatrixView centroids, int64_t first,
                  std::span<float> prices);

/// Moves the centroids from `first` on (one a group) to where they win fewest points outside their
/// groups. A group in the midst of other points cannot be alone: the best that centroids can do is
/// cut space by a plane through the group. Tried are the group's own point and points next to the
/// nearest part's centre: one towards the group and 64 in random directions.
void turn_away(PointStream& points, std::span<const EqualPoints> groups, int64_t first,
               std::span<const float> prices, Tensor& centroids);

}  // namespace hardmoe
