#include "cluster/cpu/pass_cache.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/simd.h"

namespace hardmoe::cpu {
namespace {

constexpr float rounding = 8 * 0x1p-24F;  // relative; more than these few float32 sums lose
constexpr double up = 1 + 1e-6;           // rounds up to a float32 that is not less

/// Computes bounds[g] from roots[g]; returns how many bounds are not above `score`.
HARDMOE_VECTOR_KERNEL
int64_t lower_bounds(const float* roots, const float* moved, const float* prices, int64_t count,
                     float score, float* bounds) {
  int64_t near = 0;
  for (int64_t g = 0; g < count; ++g) {
    const float square = roots[g] * roots[g], fall = 2 * roots[g] * moved[g];
    bounds[g] = square - fall + prices[g] - rounding * (square + fall + std::abs(prices[g]));
    near += bounds[g] > score ? 0 : 1;
  }
  return near;
}

HARDMOE_VECTOR_KERNEL
void square_roots(const float* bounds, int64_t count, float least_price, float* roots) {
  constexpr float largest = 1e36F;  // its root squared still fits float32
  for (int64_t g = 0; g < count; ++g) {
    const float bound = std::min(bounds[g], largest);
    const float above = bound - least_price - rounding * (std::abs(bound) + std::abs(least_price));
    roots[g] = std::sqrt(above > 0 ? above : 0.0F);
  }
}

}  // namespace

CpuPassCache::CpuPassCache(int64_t points, int64_t most, bool near_last)
    : most_groups(most),
      measures(static_cast<size_t>(points)),
      settled(near_last),
      roots(static_cast<size_t>(points * most)) {}

int64_t CpuPassCache::bytes(int64_t points, int64_t groups) {
  return points * (int64_t{sizeof(Measure)} + groups * int64_t{sizeof(float)});
}

int64_t CpuPassCache::useful_groups(int64_t clusters) {
  constexpr int64_t most = 32;
  if (integer_levels().empty()) return 0;
  const int64_t columns = integer_levels()[0].columns, panels = (clusters + columns - 1) / columns;
  return panels < 2 ? 0 : std::min(panels, most);
}

Drift::Drift(const CpuPassCache& before, const PricedCentroids& now) {
  const MatrixView from = matrix_view(before.centroids), to = now.centroids;
  const CentroidGroups& groups = before.groups;
  const double least_price =
      before.prices.empty() ? 0
                            : double{*std::min_element(before.prices.begin(), before.prices.end())};
  for (int64_t g = 0; g < groups.count(); ++g) {
    double most_square = 0, least_change = std::numeric_limits<double>::infinity();
    const auto end = std::min<int64_t>(groups.first_column[static_cast<size_t>(g) + 1], to.rows);
    for (int64_t i = groups.first_column[static_cast<size_t>(g)]; i < end; ++i) {
      const auto c = size_t{groups.order[static_cast<size_t>(i)]};
      double square = 0;
      for (int64_t d = 0; d < to.cols; ++d) {
        const double move = double{to.row(static_cast<int64_t>(c))[d]} -
                            double{from.row(static_cast<int64_t>(c))[d]};
        square += move * move;
      }
      most_square = std::max(most_square, square);
      const double change =
          now.prices.empty() ? 0 : double{now.prices[c]} - double{before.prices[c]};
      least_change = std::min(least_change, change);
    }
    moved_.push_back(static_cast<float>(std::sqrt(most_square) * up));
    const double price = least_price + least_change;
    prices_.push_back(static_cast<float>(price - std::abs(price) * (up - 1)));
  }
}

uint32_t Drift::groups(const float* roots, float score, float* bounds) const {
  const auto count = static_cast<int64_t>(moved_.size());
  if (lower_bounds(roots, moved_.data(), prices_.data(), count, score, bounds) == 0) return 0;
  uint32_t near = 0;
  for (int64_t g = 0; g < count; ++g) near |= (bounds[g] > score ? 0U : 1U) << g;
  return near;
}

void bound_roots(const float* bounds, int64_t count, float least_price, float* roots) {
  square_roots(bounds, count, least_price, roots);
}

}  // namespace hardmoe::cpu
