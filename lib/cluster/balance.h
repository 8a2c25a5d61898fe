// Prices that make parts equal: under argmin ‖z − c‖² + p_c each part holds about N/K points. They
// maximise the concave dual of the assignment problem, Σ_i min_c(‖z_i − c‖² + p_c) − (N/K) Σ_c p_c,
// whose gradient is size_c − N/K. Not for weighted points or unequal targets.
//
// A part is the set of points that one expert gets: those of one centroid, or of several.
#pragma once

#include <cstdint>
#include <span>

#include "cluster/point_stream.h"

namespace hardmoe {

/// Settings of one price fit.
struct PriceParams {
  double tolerance = 0.05;  ///< target: sizes for which sizes_within() holds
  int rounds = 150;         ///< price changes tried in each pass over the points
  int passes = 16;          ///< maximum number of passes over the points
  /// F: the part of each centroid, below `parts`, where parts have several centroids; the prices of
  /// a part's centroids move together. Empty: each centroid is a part.
  std::span<const uint16_t> part_of = {};
  int64_t parts = 0;
  /// Accept an approximate result, for samples: all sizes within 2.5 tolerances, and at most one
  /// point in 200 beyond one tolerance.
  bool rough = false;
  PriceReach reach = {};  ///< PriceFit::reach of an earlier fit to similar points; empty: none
  /// Compare points with near centroids alone (cluster/centroid_tree.h), where the backend can.
  bool near = false;
  /// K: corrections added to the number of points each centroid wins, for a sample's known bias;
  /// empty: none.
  std::span<const int64_t> corrections = {};
};

/// What a price fit achieved.
struct PriceFit {
  bool within = false;  ///< whether the target was met, before the final scores are rounded
  int passes = 0;       ///< passes over the points
  int rounds = 0;       ///< price changes tried, over all passes
  /// How far each part's prices may move in the next pass, in units of the mean gap between best
  /// and second-best score. Parts that were still far from their size have a larger reach.
  PriceReach reach = {};
};

/// Fits prices in place, starting from those given (zeros at first), and shifts them to mean zero.
/// Stops early when a pass makes no progress, for example because many points are equal: no price
/// can separate those.
PriceFit fit_prices(PointStream& points, MatrixView centroids, const PriceParams& params,
                    std::span<float> prices);
/// The same for points in memory, on the CPU.
PriceFit fit_prices(MatrixView points, MatrixView centroids, const PriceParams& params,
                    std::span<float> prices);

/// Returns how many bytes of host memory fit_prices may use for contested points. It depends on the
/// number of rows only, so results do not depend on the machine.
int64_t boundary_bytes(int64_t rows);

/// Returns whether every size lies between min(⌊N/K⌋, ⌈(1 − tolerance)·N/K⌉) and
/// max(⌈N/K⌉, ⌊(1 + tolerance)·N/K⌋).
bool sizes_within(std::span<const int64_t> sizes, double tolerance);

}  // namespace hardmoe
