#include "search/candidates.h"

#include <algorithm>
#include <cmath>

#include "base/threads.h"

namespace hardmoe {

double cosine_distance(const float* a, const float* b, int64_t cols) {
  double difference = 0, squares_a = 0, squares_b = 0;
  for (int64_t d = 0; d < cols; ++d) {
    const double x = double{a[d]}, y = double{b[d]};
    difference += (x - y) * (x - y);
    squares_a += x * x;
    squares_b += y * y;
  }
  const double length_a = std::sqrt(squares_a), length_b = std::sqrt(squares_b);
  if (!(squares_a > 0 && squares_b > 0)) return 1;
  // |a||b| − a·b = ½(‖a − b‖² − (|a| − |b|)²), in which nothing cancels for near rows.
  const double lengths = length_a - length_b;
  const double distance = 0.5 * (difference - lengths * lengths) / (length_a * length_b);
  return std::clamp(distance, 0.0, 2.0);
}

double product_error(int64_t cols) { return static_cast<double>(cols + 8) * std::ldexp(1.0, -23); }

std::vector<Neighbour> nearest_of(std::span<const int64_t> candidates, const float* query,
                                  MatrixView rows, int64_t k) {
  std::vector<Neighbour> found;
  for (const int64_t row : candidates) {
    if (row >= 0) found.push_back({row, cosine_distance(query, rows.row(row), rows.cols)});
  }
  const auto count = std::min<int64_t>(k, std::ssize(found));
  std::partial_sort(found.begin(), found.begin() + count, found.end(),
                    [](const Neighbour& a, const Neighbour& b) {
                      return a.distance < b.distance || (a.distance == b.distance && a.row < b.row);
                    });
  found.resize(static_cast<size_t>(count));
  return found;
}

void visit_pairs(int64_t first, std::span<const int64_t> candidates, MatrixView rows,
                 double distance, const std::function<void(const NearPair&)>& visit) {
  std::vector<int64_t> others;
  for (const int64_t row : candidates) {
    if (row > first) others.push_back(row);
  }
  std::ranges::sort(others);
  for (const int64_t row : others) {
    const double found = cosine_distance(rows.row(first), rows.row(row), rows.cols);
    if (found <= distance) visit({first, row, found});
  }
}

}  // namespace hardmoe
