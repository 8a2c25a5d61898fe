#include "cluster/balance.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/simd.h"
#include "base/threads.h"
#include "cluster/nearest.h"

namespace hardmoe {
namespace {

/// One segment's points after a pass. While no price moves further than slack/2, only the centroids
/// within `slack` of a point's best can win it; most points have one and are counted once and for
/// all.
struct Boundary {
  std::vector<int64_t> settled;   ///< K: points that only this centroid can win
  std::vector<int32_t> last;      ///< for each contested point, the end of its candidates below
  std::vector<uint16_t> cluster;  ///< candidates, ascending in each point
  std::vector<float> score;       ///< their scores without price
};

/// The range of sizes that will do, rounded outwards so that one exists for few points too.
struct SizeRange {
  int64_t least, most;
  SizeRange(double target, double tolerance)
      : least(static_cast<int64_t>(std::floor(target * (1 - tolerance)))),
        most(static_cast<int64_t>(std::ceil(target * (1 + tolerance)))) {}
  bool holds(int64_t size) const { return size >= least && size <= most; }
};

HARDMOE_VECTOR_KERNEL
void add_prices(const float* scores, const float* prices, int64_t count, float* priced) {
  for (int64_t c = 0; c < count; ++c) priced[c] = scores[c] + prices[c];
}

/// Calls body(scores, priced scores, the least of these) for each of points [begin, end).
template <class Body>
void for_each_scored_point(MatrixView points, const CentroidTable& table,
                           std::span<const float> prices, int64_t begin, int64_t end,
                           const Body& body) {
  const int64_t block = std::min(table.block_rows(), end - begin), stride = table.stride();
  std::vector<float> padded(prices.begin(), prices.end());
  padded.resize(static_cast<size_t>(stride));
  std::vector<float> scores(static_cast<size_t>(block * stride)), priced(scores.size());
  std::vector<int32_t> nearest(static_cast<size_t>(block));
  for (int64_t first = begin; first < end; first += block) {
    const int64_t rows = std::min(block, end - first);
    table.score(points.slice(first, first + rows), scores.data());
    for (int64_t r = 0; r < rows; ++r) {
      add_prices(scores.data() + r * stride, padded.data(), stride, priced.data() + r * stride);
    }
    table.nearest(priced.data(), rows, nearest.data());
    for (int64_t r = 0; r < rows; ++r) {
      const float* row = priced.data() + r * stride;
      body(scores.data() + r * stride, row, row[nearest[static_cast<size_t>(r)]]);
    }
  }
}

/// The mean distance from best to second-best price, over some of the points: the scale of prices.
float mean_gap(MatrixView points, const CentroidTable& table, std::span<const float> prices) {
  constexpr int64_t probes = 4096;
  const int64_t step = std::max<int64_t>(1, points.rows / probes);
  double sum = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < points.rows; i += step, ++count) {
    for_each_scored_point(points, table, prices, i, i + 1,
                          [&](const float*, const float* priced, float best) {
                            float second = INFINITY;
                            bool seen = false;
                            for (size_t c = 0; c < prices.size(); ++c) {
                              if (priced[c] == best && !seen) {
                                seen = true;
                              } else {
                                second = std::min(second, priced[c]);
                              }
                            }
                            sum += double{second - best};
                          });
  }
  return static_cast<float>(sum / static_cast<double>(count));
}

std::vector<Boundary> find_boundaries(MatrixView points, const CentroidTable& table,
                                      std::span<const float> prices, float slack) {
  const int64_t segments = segment_count(points.rows, 1);
  std::vector<Boundary> boundaries(static_cast<size_t>(segments));
  parallel_for(segments, 1, [&](int64_t first, int64_t end) {
    for (int64_t s = first; s < end; ++s) {
      Boundary& boundary = boundaries[static_cast<size_t>(s)];
      boundary.settled.assign(prices.size(), 0);
      std::vector<uint16_t> found(prices.size() + 1);
      for_each_scored_point(
          points, table, prices, points.rows * s / segments, points.rows * (s + 1) / segments,
          [&](const float* scores, const float* priced, float best) {
            size_t count = 0;
            for (size_t c = 0; c < prices.size(); ++c) {  // without a branch to mispredict
              found[count] = static_cast<uint16_t>(c);
              count += priced[c] <= best + slack ? 1 : 0;
            }
            if (count == 1) {
              ++boundary.settled[found[0]];
              return;
            }
            for (size_t i = 0; i < count; ++i) {
              boundary.cluster.push_back(found[i]);
              boundary.score.push_back(scores[found[i]]);
            }
            boundary.last.push_back(static_cast<int32_t>(boundary.cluster.size()));
          });
    }
  });
  return boundaries;
}

/// The parts' sizes at these prices.
std::vector<int64_t> count_sizes(const std::vector<Boundary>& boundaries,
                                 std::span<const float> prices) {
  constexpr size_t candidates_a_thread = 100000;  // fewer are counted sooner than a thread starts
  size_t candidates = 1;
  for (const Boundary& boundary : boundaries) candidates += boundary.cluster.size();
  const auto segments = static_cast<int64_t>(boundaries.size());
  const auto grain = static_cast<int64_t>(boundaries.size() * candidates_a_thread / candidates);
  std::vector<std::vector<int64_t>> partial(boundaries.size());
  parallel_for(segments, grain, [&](int64_t first, int64_t end) {
    for (auto s = static_cast<size_t>(first); s < static_cast<size_t>(end); ++s) {
      const Boundary& boundary = boundaries[s];
      std::vector<int64_t> sizes = boundary.settled;
      size_t i = 0;
      for (const int32_t last : boundary.last) {
        uint16_t winner = boundary.cluster[i];
        float best = boundary.score[i] + prices[winner];
        for (++i; i < static_cast<size_t>(last); ++i) {
          const uint16_t c = boundary.cluster[i];
          const float score = boundary.score[i] + prices[c];
          winner = score < best ? c : winner;
          best = std::min(best, score);
        }
        ++sizes[winner];
      }
      partial[s] = std::move(sizes);
    }
  });
  std::vector<int64_t> sizes(prices.size());
  for (const auto& part : partial) {
    for (size_t c = 0; c < sizes.size(); ++c) sizes[c] += part[c];
  }
  return sizes;
}

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
Rounds improve_prices(const std::vector<Boundary>& boundaries, double target, double tolerance,
                      float slack, int max_rounds, std::span<float> prices) {
  const SizeRange wanted(target, tolerance);
  const SizeRange dead_zone(target, tolerance / 2);
  const std::vector<float> start(prices.begin(), prices.end());
  std::vector<float> current = start;
  std::vector<float> step(prices.size(), slack / 16);
  std::vector<int> sign(prices.size());
  Rounds result;
  for (; result.rounds < max_rounds; ++result.rounds) {
    const auto sizes = count_sizes(boundaries, current);
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

PriceFit fit_prices(MatrixView points, MatrixView centroids, const PriceParams& params,
                    std::span<float> prices) {
  constexpr double margin = 0.9;  // kept for the rounding of the final scores
  constexpr int patience = 3;     // passes without progress
  const CentroidTable table(centroids);
  const double target = static_cast<double>(points.rows) / static_cast<double>(centroids.rows);
  PriceFit fit;
  double least_excess = INFINITY;
  float reach = 0.5F;  // slack of a pass, in mean gaps
  for (int idle = 0; fit.passes < params.passes && !fit.within && idle < patience; ++fit.passes) {
    const float slack = reach * mean_gap(points, table, prices);
    if (!(slack > 0) || !std::isfinite(slack)) break;  // one centroid, or equal points only
    const auto boundaries = find_boundaries(points, table, prices, slack);
    const Rounds rounds =
        improve_prices(boundaries, target, params.tolerance * margin, slack, params.rounds, prices);
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

bool sizes_within(std::span<const int64_t> sizes, double tolerance) {
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  const SizeRange wanted(static_cast<double>(total) / static_cast<double>(sizes.size()), tolerance);
  return std::all_of(sizes.begin(), sizes.end(), [&](int64_t size) { return wanted.holds(size); });
}

}  // namespace hardmoe
