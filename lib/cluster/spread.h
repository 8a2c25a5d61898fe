// Where the rows of an embedding lie and how exactly they are known, by some of them: what has to
// be subtracted before float32 can tell one from another, and below what their values are rounding.
#pragma once

#include <vector>

#include "base/random.h"
#include "cluster/point_stream.h"

namespace hardmoe {

struct Spread {
  /// D: the mean, of which rows a hundred times as far off as most are no part: one would move the
  /// others away from the origin.
  std::vector<float> centre;
  double variance = 0;  ///< mean of ‖x − centre‖²
  double square = 0;    ///< mean of ‖x‖²
  /// Half of the least step between stored values, as a share of them: 2⁻¹¹ for float16, 2⁻²⁴ for
  /// float32; also of float16 that was written as float32.
  double rounding = 0x1p-24;
};

/// Of up to 16,384 rows, drawn by chance; fewer where they are long. Throws Error(usage) naming the
/// scale to use where squares of what is between rows are below float32.
Spread spread_of(const PointStream& rows, Random random);

/// Bytes that spread_of needs at most.
int64_t spread_bytes(int64_t rows, int64_t cols);

/// How exactly these values were stored before they became float32, as Spread::rounding.
double stored_rounding(MatrixView rows);

}  // namespace hardmoe
