#include "cluster/balance.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace hardmoe {
namespace {

/// The range of sizes that will do, rounded outwards so that one exists for few points too.
struct SizeRange {
  int64_t least, most;
  SizeRange(double target, double tolerance)
      : least(static_cast<int64_t>(std::floor(target * (1 - tolerance)))),
        most(static_cast<int64_t>(std::ceil(target * (1 + tolerance)))) {}
  bool holds(int64_t size) const { return size >= least && size <= most; }
};

/// The sum of what parts have too much or too little.
double excess(std::span<const int64_t> sizes, double target) {
  double sum = 0;
  for (const int64_t size : sizes) sum += std::abs(static_cast<double>(size) - target);
  return sum;
}

struct Rounds {
  bool within = false;
  bool held_back = false;  ///< a price wanted to go further than this pass allows
  int rounds = 0;
  double excess = INFINITY;  ///< at the prices chosen
};

/// Each price by steps of its own, longer while the sign of its part's error stays and shorter when
/// it turns (Riedmiller & Braun's Rprop, 1993): the dual's gradient has cliffs where a dense group
/// of points changes sides, so its size says little and its sign is what counts.
Rounds improve_prices(const Boundary& boundary, double target, double tolerance, float slack,
                      int max_rounds, std::span<float> prices) {
  const SizeRange wanted(target, tolerance);
  const SizeRange dead_zone(target, tolerance / 2);
  const std::vector<float> start(prices.begin(), prices.end());
  std::vector<float> current = start;
  std::vector<float> step(prices.size(), slack / 16);
  std::vector<int> sign(prices.size());
  Rounds result;
  for (; result.rounds < max_rounds; ++result.rounds) {
    std::vector<int64_t> sizes(current.size());
    boundary.add_sizes(current, sizes);
    if (const double now = excess(sizes, target); now < result.excess) {
      result.excess = now;
      std::copy(current.begin(), current.end(), prices.begin());
    }
    if (std::all_of(sizes.begin(), sizes.end(), [&](int64_t n) { return wanted.holds(n); })) {
      std::copy(current.begin(), current.end(), prices.begin());
      result.within = true;
      return result;
    }
    bool moving = false;
    result.held_back = false;
    for (size_t c = 0; c < current.size(); ++c) {
      if (dead_zone.holds(sizes[c])) continue;
      const int direction = static_cast<double>(sizes[c]) > target ? 1 : -1;
      if (sign[c] == direction) step[c] = std::min(step[c] * 1.3F, slack / 4);
      if (sign[c] == -direction) step[c] *= 0.5F;
      sign[c] = direction;
      const float was = current[c];
      const float next = was + static_cast<float>(direction) * step[c];
      current[c] = std::clamp(next, start[c] - slack / 2, start[c] + slack / 2);
      if (!wanted.holds(sizes[c])) {
        result.held_back |= current[c] != next;
        moving |= current[c] != was && step[c] > slack * 1e-6F;
      }
    }
    if (!moving) break;
  }
  return result;
}

}  // namespace

PriceFit fit_prices(const Points& points, MatrixView centroids, const PriceParams& params,
                    std::span<float> prices, ClusterBackend& backend) {
  constexpr double margin = 0.9;  // kept for the rounding of the final scores
  constexpr int patience = 3;     // passes without progress
  const double target =
      static_cast<double>(points.view().rows) / static_cast<double>(centroids.rows);
  PriceFit fit;
  double least_excess = INFINITY;
  float reach = 0.5F;  // slack of a pass, in mean gaps
  for (int idle = 0; fit.passes < params.passes && !fit.within && idle < patience; ++fit.passes) {
    const float slack = reach * backend.mean_gap(points, {centroids, prices});
    if (!(slack > 0) || !std::isfinite(slack)) break;  // one centroid, or equal points only
    const auto boundary = backend.find_boundary(points, {centroids, prices}, slack);
    const Rounds rounds =
        improve_prices(*boundary, target, params.tolerance * margin, slack, params.rounds, prices);
    fit.rounds += rounds.rounds;
    fit.within = rounds.within;
    if (rounds.held_back) reach = std::min(reach * 2, 8.0F);
    idle = rounds.excess < 0.99 * least_excess ? 0 : idle + 1;
    least_excess = std::min(least_excess, rounds.excess);
  }
  const double mean =
      std::accumulate(prices.begin(), prices.end(), 0.0) / static_cast<double>(prices.size());
  for (float& price : prices) price = static_cast<float>(double{price} - mean);
  return fit;
}

PriceFit fit_prices(MatrixView points, MatrixView centroids, const PriceParams& params,
                    std::span<float> prices) {
  ClusterBackend& backend = cpu_cluster_backend();
  return fit_prices(*backend.load(points), centroids, params, prices, backend);
}

bool sizes_within(std::span<const int64_t> sizes, double tolerance) {
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  const SizeRange wanted(static_cast<double>(total) / static_cast<double>(sizes.size()), tolerance);
  return std::all_of(sizes.begin(), sizes.end(), [&](int64_t size) { return wanted.holds(size); });
}

}  // namespace hardmoe
