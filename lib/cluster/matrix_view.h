// A view of a row-major float32 matrix owned by someone else: a tensor, a mapped .npy file, a block
// of rows; and checks of its values. Does not extend the owner's life.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tensor/tensor.h"

namespace hardmoe {

/// rows×cols float32 values, row by row without gaps.
struct MatrixView {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;

  const float* row(int64_t index) const { return data + index * cols; }
  /// Returns rows [begin, end).
  MatrixView slice(int64_t begin, int64_t end) const { return {row(begin), end - begin, cols}; }
};

/// Returns a view of the tensor, which must outlive it. Throws Error unless it is N×D float32.
MatrixView matrix_view(const Tensor& tensor);

/// Returns whether all `count` values are finite.
bool all_finite(const float* values, int64_t count);
/// Returns the first row with a value outside ±most (a NaN counts as outside), or -1.
int64_t first_row_beyond(MatrixView matrix, float most);
/// Returns the largest magnitude of values, in rows of `cols`, for which squared distances and sums
/// of these still fit float32.
float most_magnitude(int64_t cols);
/// Returns what is wrong with a row that exceeds most_magnitude, and what to do: "holds a NaN or an
/// infinity; …". `row` holds the values as they were stored, since a float64 beyond float32's range
/// is still a number.
std::string range_problem(std::span<const double> row);

/// Returns into how many segments a long loop over rows is cut, 1 to 64; their partial sums are
/// added in order. It depends on the number of rows and the bytes a segment needs, never on the
/// number of threads, so neither do results.
int64_t segment_count(int64_t rows, int64_t bytes_a_segment);

}  // namespace hardmoe
