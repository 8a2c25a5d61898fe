// Prices that make parts equal: with argmin ‖z − c‖² + p_c each part holds about N/K points. They
// maximise the concave dual of the assignment problem, Σ_i min_c(‖z_i − c‖² + p_c) − (N/K) Σ_c p_c,
// whose gradient is size_c − N/K. Not for weighted points or unequal targets.
#pragma once

#include <cstdint>
#include <span>

#include "cluster/point_stream.h"

namespace hardmoe {

struct PriceParams {
  double tolerance = 0.05;  ///< wanted: sizes that sizes_within
  int rounds = 150;         ///< price changes tried a pass over the points
  int passes = 16;          ///< passes over the points at most
  /// Parts made of several centroids each: the part of each centroid, below `parts`. Their
  /// centroids' prices move together. Empty: each centroid is a part.
  std::span<const uint16_t> part_of = {};
  int64_t parts = 0;
  /// Whether it will do to come near: all within 2.5 tolerances, and no more than one point in 200
  /// beyond one. Of a sample.
  bool rough = false;
  PriceReach reach = {};  ///< as a fit of like points left it; empty at first
  /// To add to the points each centroid wins (K), or none: what a sample is known to be wrong by.
  std::span<const int64_t> corrections = {};
};

struct PriceFit {
  bool within = false;  ///< the tolerance is met as far as was asked, before rounding of the scores
  int passes = 0;
  int rounds = 0;  ///< in all passes together
  /// How far parts' prices may go in the next pass, in mean gaps (from best score to second-best):
  /// further for the few that had far to go.
  PriceReach reach = {};
};

/// Finds prices from those given (zeros at first), in place; their mean is made zero. Ends early
/// where no progress is made, as with many equal points, which no price can part.
PriceFit fit_prices(PointStream& points, MatrixView centroids, const PriceParams& params,
                    std::span<float> prices);
/// In memory, on the CPU.
PriceFit fit_prices(MatrixView points, MatrixView centroids, const PriceParams& params,
                    std::span<float> prices);

/// Host memory that contested points of `rows` may take in fit_prices: of their number alone, so
/// that results do not depend on what a machine has.
int64_t boundary_bytes(int64_t rows);

/// Whether each size is from min(⌊N/K⌋, ⌈(1 − tolerance)·N/K⌉) to max(⌈N/K⌉, ⌊(1 +
/// tolerance)·N/K⌋).
bool sizes_within(std::span<const int64_t> sizes, double tolerance);

}  // namespace hardmoe
