#include "cluster/spread.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/threads.h"
#include "cluster/kernels.h"

namespace hardmoe {
namespace {

int64_t sample_rows(int64_t rows, int64_t cols) {
  constexpr int64_t most = 16384, most_bytes = int64_t{32} << 20;
  return std::min({rows, most, std::max<int64_t>(most_bytes / (cols * 4), 256)});
}

/// Returns the median of each column.
std::vector<float> column_medians(MatrixView rows) {
  std::vector<float> medians(static_cast<size_t>(rows.cols));
  parallel_for(rows.cols, 4, [&](int64_t begin, int64_t end) {
    std::vector<float> values(static_cast<size_t>(rows.rows));
    for (int64_t d = begin; d < end; ++d) {
      for (int64_t i = 0; i < rows.rows; ++i) values[static_cast<size_t>(i)] = rows.row(i)[d];
      const auto middle = values.begin() + rows.rows / 2;
      std::nth_element(values.begin(), middle, values.end());
      medians[static_cast<size_t>(d)] = *middle;
    }
  });
  return medians;
}

/// Returns ‖x − from‖² of each row, in float64 so that squares of small values are not lost.
std::vector<double> squared_distances(MatrixView rows, const std::vector<float>& from) {
  std::vector<double> squares(static_cast<size_t>(rows.rows));
  parallel_for(rows.rows, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double sum = 0;
      for (int64_t d = 0; d < rows.cols; ++d) {
        const double off = double{rows.row(i)[d]} - double{from[static_cast<size_t>(d)]};
        sum += off * off;
      }
      squares[static_cast<size_t>(i)] = sum;
    }
  });
  return squares;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

std::vector<float> mean_without_far_rows(MatrixView rows) {
  constexpr double far = 1e4;  // squared distance, as a multiple of the median
  const std::vector<float> medians = column_medians(rows);
  const std::vector<double> squares = squared_distances(rows, medians);
  std::vector<double> sorted = squares;
  const auto middle = sorted.begin() + std::ssize(sorted) / 2;
  std::nth_element(sorted.begin(), middle, sorted.end());
  const double limit = far * *middle;
  std::vector<double> sums(medians.size());
  double count = 0;
  for (int64_t i = 0; i < rows.rows; ++i) {
    if (squares[static_cast<size_t>(i)] > limit) continue;
    add_to_sums(rows.row(i), rows.cols, sums.data());
    ++count;
  }
  std::vector<float> mean;
  for (const double sum : sums) mean.push_back(static_cast<float>(sum / count));
  return mean;
}

}  // namespace

double stored_rounding(MatrixView rows) {
  // The significant bits that many values use together tell their stored type. Values with very few
  // bits, such as small integers or 0 and 1, tell nothing.
  constexpr int values_together = 64, all = 23, least = 7;  // 7 mantissa bits: bfloat16
  double sum = 0, count = 0;
  int most = 0, seen = 0;
  for (int64_t i = 0; i < rows.rows; ++i) {
    for (int64_t d = 0; d < rows.cols; ++d) {
      const auto bits = std::bit_cast<uint32_t>(rows.row(i)[d]);
      if ((bits << 1U) == 0) continue;
      most = std::max(most, all - std::min(all, std::countr_zero(bits & 0x7FFFFFU)));
      if (++seen < values_together) continue;
      sum += std::ldexp(1, -2 * ((most < least ? all : most) + 1));
      ++count;
      most = seen = 0;
    }
  }
  return count > 0 ? std::sqrt(sum / count) : 0x1p-24;
}

Spread spread_of(const PointStream& rows, Random random) {
  const Tensor sample = rows.sample(sample_rows(rows.rows(), rows.cols()), random);
  const MatrixView drawn = matrix_view(sample);
  Spread spread;
  spread.centre = mean_without_far_rows(drawn);
  spread.variance = mean_of(squared_distances(drawn, spread.centre));
  spread.square =
      mean_of(squared_distances(drawn, std::vector<float>(static_cast<size_t>(rows.cols()))));
  spread.rounding = stored_rounding(drawn);
  constexpr double least = 1e-25;  // 1e-4 of it, squared, still fits float32
  if (spread.variance > 0 && spread.variance < least) {
    const double deviation = std::sqrt(spread.variance);
    fail_usage(
        "the embedding's rows are only {:.3g} apart, and the square of that underflows float32; "
        "multiply the embedding by 1e{:.0f}",
        deviation, std::ceil(-std::log10(deviation)));
  }
  return spread;
}

int64_t spread_bytes(int64_t rows, int64_t cols) {
  return sample_rows(rows, cols) * (cols * 4 + 40) + cols * 64;
}

}  // namespace hardmoe
