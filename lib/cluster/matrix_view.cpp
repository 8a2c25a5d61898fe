#include "cluster/matrix_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/simd.h"
#include "base/threads.h"

namespace hardmoe {
namespace {

constexpr int64_t segment_rows = 1024;  // fewer rows are not worth starting a thread
constexpr int64_t partial_sums_bytes = int64_t{256} << 20;

HARDMOE_VECTOR_KERNEL
bool any_beyond(const float* values, int64_t count, float most) {
  uint32_t found = 0;
  for (int64_t d = 0; d < count; ++d) found |= std::abs(values[d]) <= most ? 0U : 1U;
  return found != 0;
}

HARDMOE_VECTOR_KERNEL
bool any_not_finite(const float* values, int64_t count) {
  constexpr uint32_t exponent = 0x7F800000;  // all ones: infinity or NaN
  uint32_t found = 0;
  for (int64_t d = 0; d < count; ++d) {
    found |= (std::bit_cast<uint32_t>(values[d]) & exponent) == exponent ? 1U : 0U;
  }
  return found != 0;
}

}  // namespace

bool all_finite(const float* values, int64_t count) { return !any_not_finite(values, count); }

MatrixView matrix_view(const Tensor& tensor) {
  if (tensor.shape().size() != 2) {
    fail("expected a matrix (rows × columns), found shape {}", to_string(tensor.shape()));
  }
  return {tensor.as<float>().data(), tensor.size(0), tensor.size(1)};
}

int64_t first_row_beyond(MatrixView matrix, float most) {
  const int64_t segments = segment_count(matrix.rows, 1);
  std::vector<int64_t> found(static_cast<size_t>(segments), -1);
  parallel_for(segments, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      const int64_t last = matrix.rows * (s + 1) / segments;
      for (int64_t row = matrix.rows * s / segments; row < last; ++row) {
        if (any_beyond(matrix.row(row), matrix.cols, most)) {
          found[static_cast<size_t>(s)] = row;
          break;
        }
      }
    }
  });
  const auto first = std::find_if(found.begin(), found.end(), [](int64_t row) { return row >= 0; });
  return first == found.end() ? -1 : *first;
}

float most_magnitude(int64_t cols) {
  // A score is a few times the squared distance of two rows, and squares of some thousand rows are
  // added in float32 before they are added in float64.
  constexpr float some = 16384;
  return std::sqrt(std::numeric_limits<float>::max() / some / static_cast<float>(cols));
}

std::string range_problem(std::span<const double> row) {
  double largest = 0;
  for (const double value : row) {
    if (!std::isfinite(value)) {
      return "holds a NaN or an infinity; check whether the base's training diverged, then embed "
             "again";
    }
    largest = std::max(largest, std::abs(value));
  }
  return fmt::format(
      "holds a value of magnitude {:.3g}, and squared distances of such values overflow float32; "
      "multiply the embedding by 1e-{:.0f}",
      largest, std::ceil(std::log10(largest)));
}

int64_t segment_count(int64_t rows, int64_t bytes_a_segment) {
  const int64_t by_bytes = std::clamp<int64_t>(partial_sums_bytes / bytes_a_segment, 8, 64);
  return std::clamp<int64_t>(rows / segment_rows, 1, by_bytes);
}

}  // namespace hardmoe
