// The nearest centroid of each point: argmin ‖z − c‖² + p_c, by blocks of points, so that the
// points × centroids matrix never exists as a whole. Exact; not an index for billions of vectors.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/kernels.h"
#include "cluster/matrix_view.h"

namespace hardmoe {

/// Centroids (K×D) prepared for comparison. A point's score is ‖c‖² + p_c − 2z·c: its squared
/// distance plus the price, less ‖z‖², which is the same for all centroids.
class CentroidTable {
 public:
  /// `prices`: K values, or none (all zero).
  explicit CentroidTable(MatrixView centroids, std::span<const float> prices = {});

  int64_t clusters() const { return panels_.columns(); }
  int64_t depth() const { return panels_.depth(); }
  /// Returns the length of a row of scores: K rounded up to whole vectors; scores beyond K are
  /// infinite.
  int64_t stride() const { return panels_.padded_columns(); }
  /// Returns how many points to score at a time so that scores stay in the second-level cache.
  int64_t block_rows() const;

  /// Computes scores[i·stride() + c] for each point i and centroid c.
  void score(MatrixView points, float* scores) const;
  /// Writes index[i] = the centroid with the least score, the lower one of equals.
  void nearest(const float* scores, int64_t rows, int32_t* index) const;

 private:
  PackedMatrix panels_;      ///< −2c
  std::vector<float> bias_;  ///< ‖c‖² + p_c
};

/// Writes assignment[i] = the nearest centroid of point i, in parallel over points.
void assign(MatrixView points, const CentroidTable& table, std::span<uint16_t> assignment);

}  // namespace hardmoe
