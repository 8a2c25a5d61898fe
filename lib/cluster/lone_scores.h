// Where centroids have to be, and at what prices, for parts of their own about single points. In
// float64, as it is float32's rounding that they must stay clear of.
#pragma once

#include <span>

#include "cluster/equal_points.h"

namespace hardmoe {

/// ‖a − b‖².
double exact_squared_distance(const float* a, const float* b, int64_t depth);

/// By how much a score must be less than those of other centroids (K×D) for float32 to tell, at
/// points within `radius` of `point`.
double score_margin(const float* point, double radius, MatrixView centroids,
                    std::span<const float> prices);

/// Sets the prices of the centroids from `first` on, one a group, so that each wins its own points
/// by a little: against those before `first`, and against one another.
void price_groups(std::span<const EqualPoints> groups, MatrixView centroids, int64_t first,
                  std::span<float> prices);

/// Moves the centroids from `first` on, one a group, to where fewest of the others' points go to
/// them. Groups amid the others' points cannot be alone: the best that a rule of centroids can do
/// is a plane through the group, and such a plane has the least beyond it that is at a right angle
/// to the way from most of the nearest part's points, or to some other way.
void turn_away(PointStream& points, std::span<const EqualPoints> groups, int64_t first,
               std::span<const float> prices, Tensor& centroids);

}  // namespace hardmoe
