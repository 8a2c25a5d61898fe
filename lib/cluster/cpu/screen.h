// The nearest centroids of points, found by products of 16-bit integers and settled in float32
// where these leave a doubt. Exact: the answers are those of CentroidTable, bit for bit.
//
// With y = x − m and c' = c − m, m the centroids' mean, scores differ from ‖c'‖² + p_c − 2 y·c' by
// what is the same for all centroids of a point. y and c' are rounded to integers times a scale,
// ỹ = y − e, c̃ = c' − f. By Cauchy–Schwarz |y·c' − ỹ·c̃| ≤ ‖ỹ‖‖f‖ + ‖e‖‖c'‖; the scales are so
// chosen that ‖ỹ‖ and ‖c̃‖ are below √2³¹ integers, which keeps the sums within 32 bits. Only
// centroids whose approximate score is within twice that error (and twice the rounding error of the
// float32 score that is to be matched) of the least can be the nearest.
#pragma once

#include <span>
#include <vector>

#include "cluster/cpu/integer_product.h"
#include "cluster/nearest.h"

namespace hardmoe::cpu {

/// Centroids that may win, of a few points: those of point i end at last[i], ascending.
struct Candidates {
  std::vector<int32_t> last;
  std::vector<uint16_t> centroid;
};

class Screen {
 public:
  /// The centroids and prices (none: zeros) must outlive this.
  Screen(MatrixView centroids, std::span<const float> prices, const IntegerLevel& level);

  /// A good number of points to look at together.
  int64_t block_rows() const;

  /// Every centroid whose priced score is within `slack` of the point's least, as CentroidTable
  /// makes scores; and perhaps some that are not.
  /// `next`: the rows of the next call, fetched meanwhile.
  void find(MatrixView points, float slack, Candidates& found, MatrixView next = {}) const;

  /// Which of these CentroidTable::nearest would choose for the point.
  uint16_t choose(const float* point, std::span<const uint16_t> candidates) const;

  float price(size_t c) const { return prices_.empty() ? 0 : prices_[c]; }

 private:
  /// Rounding errors of scores of a point whose distance from the middle is `norm`.
  float table_error(float norm) const;

  MatrixView centroids_;
  std::span<const float> prices_;
  const IntegerLevel* level_;
  int64_t depth_, padded_;     ///< even; columns in whole panels
  std::vector<float> middle_;  ///< m
  std::vector<int16_t> panels_;
  std::vector<float> bias_;        ///< ‖c'‖² + p_c; infinite beyond K
  std::vector<float> table_bias_;  ///< ‖c‖² + p_c as CentroidTable has it
  float scale_ = 1;                ///< of the centroids' integers
  float most_norm_ = 0, most_error_ = 0, most_bias_ = 0;  ///< ‖c'‖, ‖f‖, |‖c'‖² + p_c|
  float middle_norm_ = 0, most_table_norm_ = 0, most_table_bias_ = 0;  ///< ‖m‖, ‖c‖, |‖c‖² + p_c|
};

}  // namespace hardmoe::cpu
