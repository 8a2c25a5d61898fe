// The centre, spread and rounding of an embedding, measured on a sample. The centre must be
// subtracted before float32 can tell rows apart; differences below the rounding mean nothing.
#pragma once

#include <vector>

#include "base/random.h"
#include "cluster/point_stream.h"

namespace hardmoe {

/// What was measured.
struct Spread {
  /// D: the mean, without rows a hundred times farther from the median than most, because one such
  /// row would shift the others away from the origin.
  std::vector<float> centre;
  double variance = 0;  ///< mean of ‖x − centre‖²
  double square = 0;    ///< mean of ‖x‖²
  /// Half of the smallest relative step between stored values: 2⁻¹¹ for float16, 2⁻²⁴ for float32.
  /// Also detects float16 values that were stored as float32.
  double rounding = 0x1p-24;
};

/// Measures up to 16,384 rows drawn at random, fewer if rows are long. Throws Error(usage) naming a
/// scale if the differences between rows are so small that their squares underflow float32.
Spread spread_of(const PointStream& rows, Random random);

/// Returns the most bytes that spread_of needs.
int64_t spread_bytes(int64_t rows, int64_t cols);

/// Returns the relative rounding with which these values were once stored, as Spread::rounding.
double stored_rounding(MatrixView rows);

}  // namespace hardmoe
