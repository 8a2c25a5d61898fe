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

/// Calls body(row, scores) for the points in [begin, end), in order and on this thread. `scores`:
/// stride() values, as CentroidTable::score computes them, valid during the call.
template <class Body>
void for_each_scores(MatrixView points, const CentroidTable& table, int64_t begin, int64_t end,
                     const Body& body) {
  const int64_t step = table.block_rows();
  std::vector<float> scores(static_cast<size_t>(step * table.stride()));
  for (int64_t first = begin; first < end; first += step) {
    const int64_t last = first + step < end ? first + step : end;
    table.score(points.slice(first, last), scores.data());
    for (int64_t row = first; row < last; ++row) {
      body(row, scores.data() + (row - first) * table.stride());
    }
  }
}

/// Writes assignment[i] = the nearest centroid of point i, in parallel over points.
void assign(MatrixView points, const CentroidTable& table, std::span<uint16_t> assignment);

}  // namespace hardmoe
