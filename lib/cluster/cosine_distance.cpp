#include "cluster/cosine_distance.h"

#include <algorithm>
#include <cmath>

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

}  // namespace hardmoe
