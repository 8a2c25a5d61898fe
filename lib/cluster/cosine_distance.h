// How far apart two rows are in direction. Not for many rows at a time: see cluster/unit_rows.h.
#pragma once

#include <cstdint>

namespace hardmoe {

/// Returns the cosine distance 1 − a·b/(|a||b|) of two rows of `cols` values, 0 to 2, in float64 and
/// without cancellation; 1 where one of them is zeros, which are at right angles to all.
double cosine_distance(const float* a, const float* b, int64_t cols);

}  // namespace hardmoe
