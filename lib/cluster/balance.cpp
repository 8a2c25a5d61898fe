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

/// The sum of what parts have beyond the range.
double excess(std::span<const int64_t> sizes, const SizeRange& wanted) {
  double sum = 0;
  for (const int64_t size : sizes) {
    sum += static_cast<double>(std::max({wanted.least - size, size - wanted.most, int64_t{0}}));
  }
  return sum;
}

/// The parts' sizes and the prices of their centroids.
class Parts {
 public:
  Parts(const PriceParams& params, size_t centroids)
      : part_of_(params.part_of),
        count_(part_of_.empty() ? centroids : static_cast<size_t>(params.parts)) {}
  size_t count() const { return count_; }
  size_t of(size_t centroid) const { return part_of_.empty() ? centroid : part_of_[centroid]; }

  /// Under `prices` of the centroids.
  std::vector<int64_t> sizes(const Boundary& boundary, std::span<const float> prices) const {
    std::vector<int64_t> of_centroids(prices.size());
    boundary.add_sizes(prices, of_centroids);
    if (part_of_.empty()) return of_centroids;
    std::vector<int64_t> sizes(count_);
    for (size_t c = 0; c < prices.size(); ++c) sizes[of(c)] += of_centroids[c];
    return sizes;
  }

 private:
  std::span<const uint16_t> part_of_;
  size_t count_;
};

struct Rounds {
  bool within = false;
  bool held_back = false;  ///< a price wanted to go further than this pass allows
  int rounds = 0;
  double excess = INFINITY;  ///< at the prices chosen
};

/// Each price by steps of its own, longer while the sign of its part's error stays and shorter when
/// it turns (Riedmiller & Braun's Rprop, 1993): the dual's gradient has cliffs where a dense group
/// of points changes sides, so its size says little and its sign is what counts.
Rounds improve_prices(const Boundary& boundary, const Parts& parts, double target, double tolerance,
                      float slack, float first_step, int max_rounds, std::span<float> prices) {
  const SizeRange wanted(target, tolerance);
  const SizeRange dead_zone(target, tolerance / 2);
  const std::vector<float> start(prices.begin(), prices.end());
  std::vector<float> current = start;
  std::vector<float> change(parts.count()), step(parts.count(), first_step);
  std::vector<int> sign(parts.count());
  Rounds result;
  for (; result.rounds < max_rounds; ++result.rounds) {
    const std::vector<int64_t> sizes = parts.sizes(boundary, current);
    if (const double now = excess(sizes, wanted); now < result.excess) {
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
    for (size_t c = 0; c < parts.count(); ++c) {
      if (dead_zone.holds(sizes[c])) continue;
      const int direction = static_cast<double>(sizes[c]) > target ? 1 : -1;
      if (sign[c] == direction) step[c] = std::min(step[c] * 1.3F, slack / 4);
      if (sign[c] == -direction) step[c] *= 0.5F;
      sign[c] = direction;
      const float was = change[c];
      const float next = was + static_cast<float>(direction) * step[c];
      change[c] = std::clamp(next, -slack / 2, slack / 2);
      if (!wanted.holds(sizes[c])) {
        result.held_back |= change[c] != next;
        moving |= change[c] != was && step[c] > slack * 1e-6F;
      }
    }
    for (size_t c = 0; c < current.size(); ++c) current[c] = start[c] + change[parts.of(c)];
    if (!moving) break;
  }
  return result;
}

/// How large a boundary would be of all points, as that of some is.
double projected_bytes(const Boundary& boundary, int64_t seen, int64_t rows) {
  constexpr double a_candidate = sizeof(uint16_t) + sizeof(float);
  return a_candidate * static_cast<double>(boundary.candidates()) * static_cast<double>(rows) /
         static_cast<double>(seen);
}

/// What is contested within `slack`; less of it, and `slack` less, where it would take more than
/// `budget` bytes.
std::unique_ptr<Boundary> find_boundary(PointStream& points, const PricedCentroids& rule,
                                        int64_t budget, float& slack) {
  const float least = slack * 1e-4F;  // of equal scores there are as many whatever the slack
  const auto narrow = [&](double bytes) {
    const double share = bytes / static_cast<double>(budget);
    if (share <= 1 || slack < least) return false;
    slack *= static_cast<float>(std::clamp(0.8 / share, 0.6, 0.85));
    return true;
  };
  // A few points tell before all are looked at.
  const Points& probes = points.probes();
  std::unique_ptr<Boundary> boundary;
  bool too_large = true;
  while (too_large) {
    boundary = points.backend().find_boundary(probes, rule, slack);
    too_large = narrow(projected_bytes(*boundary, probes.view().rows, points.rows()));
  }
  do {
    boundary.reset();
    points.for_each([&](const Points& block, int64_t first) {
      points.backend().add_boundary(block, rule, slack, boundary);
      too_large = narrow(projected_bytes(*boundary, first + block.view().rows, points.rows()));
      return !too_large;
    });
  } while (too_large);
  return boundary;
}

/// So much that going over candidates in all rounds takes about as long as finding them, K·D
/// products a point: less would take more passes.
int64_t worthwhile_bytes(int64_t rows, MatrixView centroids) {
  constexpr int64_t products_a_byte = 128, least_a_point = 16;
  return rows * std::max(least_a_point, centroids.rows * centroids.cols / products_a_byte);
}

}  // namespace

int64_t boundary_bytes(int64_t rows) {
  constexpr int64_t mebi = int64_t{1} << 20;
  return std::max(std::clamp(128 * rows, 64 * mebi, 256 * mebi), 4 * rows);
}

PriceFit fit_prices(PointStream& points, MatrixView centroids, const PriceParams& params,
                    std::span<float> prices) {
  constexpr double margin = 0.9;  // kept for the rounding of the final scores
  constexpr int patience = 3;     // passes without progress
  const Parts parts(params, prices.size());
  const double target = static_cast<double>(points.rows()) / static_cast<double>(parts.count());
  PriceFit fit;
  double least_excess = INFINITY;
  float reach = 8;  // slack of a pass, in mean gaps
  const int64_t budget =
      std::min(boundary_bytes(points.rows()), worthwhile_bytes(points.rows(), centroids));
  for (int idle = 0; fit.passes < params.passes && !fit.within && idle < patience; ++fit.passes) {
    const PricedCentroids rule{centroids, prices};
    const float gap = points.backend().mean_gap(points.probes(), rule);
    float slack = reach * gap;
    if (!(slack > 0) || !std::isfinite(slack)) break;  // one centroid, or equal points only
    const auto boundary = find_boundary(points, rule, budget, slack);
    const Rounds rounds = improve_prices(*boundary, parts, target, params.tolerance * margin, slack,
                                         std::min(gap / 32, slack / 16), params.rounds, prices);
    fit.rounds += rounds.rounds;
    fit.within = rounds.within;
    reach = slack / gap;
    if (rounds.held_back) reach = std::min(reach * 2, 32.0F);
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
  const MatrixSource source(points);
  PointStream stream(source, cpu_cluster_backend());
  return fit_prices(stream, centroids, params, prices);
}

bool sizes_within(std::span<const int64_t> sizes, double tolerance) {
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  const SizeRange wanted(static_cast<double>(total) / static_cast<double>(sizes.size()), tolerance);
  return std::all_of(sizes.begin(), sizes.end(), [&](int64_t size) { return wanted.holds(size); });
}

}  // namespace hardmoe
