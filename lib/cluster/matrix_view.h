// A row-major float32 matrix that somebody else owns: a tensor, a mapped .npy, a block of rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tensor/tensor.h"

namespace hardmoe {

struct MatrixView {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;

  const float* row(int64_t index) const { return data + index * cols; }
  /// Rows [begin, end).
  MatrixView slice(int64_t begin, int64_t end) const { return {row(begin), end - begin, cols}; }
};

/// The tensor's memory as a matrix; the tensor must outlive it. Throws Error unless it is N×D
/// float32.
MatrixView matrix_view(const Tensor& tensor);

/// Whether none of `count` values is a NaN or an infinity.
bool all_finite(const float* values, int64_t count);
/// The first row with a value that is not within ±most, as no NaN is; or -1.
int64_t first_row_beyond(MatrixView matrix, float most);
/// The largest magnitude of values in rows of `cols` for which squared distances, and what is made
/// of these, are float32 still.
float most_magnitude(int64_t cols);
/// What is wrong with a row that has values beyond most_magnitude, and what to do: "holds a NaN or
/// an infinity; …". The values as they were stored: float64 may be beyond float32 and a number.
std::string range_problem(std::span<const double> row);

/// How a long loop over rows is cut into segments whose partial sums are added in order: by the
/// number of rows and the bytes one segment needs, never by the number of threads, so that results
/// do not depend on it. At least 1, at most 64.
int64_t segment_count(int64_t rows, int64_t bytes_a_segment);

}  // namespace hardmoe
