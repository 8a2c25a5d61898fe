#include "cluster/balance.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include "cluster/centroid_tree.h"
#include "cluster/price_search.h"

namespace hardmoe {
namespace {

/// Returns the bytes a boundary of all `rows` points would take, extrapolated from the `seen` ones.
double projected_bytes(const Boundary& boundary, int64_t seen, int64_t rows) {
  constexpr double a_candidate = sizeof(uint16_t) + sizeof(float);
  return a_candidate * static_cast<double>(boundary.candidates()) * static_cast<double>(rows) /
         static_cast<double>(seen);
}

/// Multiplies the longest reaches, which few parts have, by `factor`; all of them if they are
/// alike.
void shorten(PriceReach& reach, float factor) {
  const auto [least_down, most_down] = std::minmax_element(reach.down.begin(), reach.down.end());
  const auto [least_up, most_up] = std::minmax_element(reach.up.begin(), reach.up.end());
  const float least = std::min(*least_down, *least_up), most = std::max(*most_down, *most_up);
  const float limit = least < most ? std::max(least, most * factor) : most * factor;
  for (float& r : reach.down) r = std::min(r, limit);
  for (float& r : reach.up) r = std::min(r, limit);
}

/// Converts the parts' reach, in mean gaps, to their centroids' reach in prices.
PriceReach of_centroids(const PriceReach& reach, const Parts& parts, size_t centroids, float gap) {
  PriceReach spread;
  for (size_t c = 0; c < centroids; ++c) {
    spread.down.push_back(reach.down[parts.of(c)] * gap);
    spread.up.push_back(reach.up[parts.of(c)] * gap);
  }
  return spread;
}

/// Returns the boundary of all points within `reach` (of parts, in mean gaps). If it would take
/// more than `budget` bytes, `reach` is shortened until it does not.
std::unique_ptr<Boundary> find_boundary(PointStream& points, const PricedCentroids& rule,
                                        const Parts& parts, int64_t budget, float gap,
                                        PriceReach& reach) {
  constexpr float least = 1e-3F;  // equally scored candidates stay, however short the reach
  PriceReach prices = of_centroids(reach, parts, rule.prices.size(), gap);
  const auto shrink = [&](double bytes) {
    const double share = bytes / static_cast<double>(budget);
    if (share <= 1 || *std::max_element(reach.up.begin(), reach.up.end()) < least) return false;
    shorten(reach, static_cast<float>(std::clamp(0.8 / share, 0.4, 0.85)));
    prices = of_centroids(reach, parts, rule.prices.size(), gap);
    return true;
  };
  // The probes give an estimate before all points are visited.
  const Points& probes = points.probes();
  std::unique_ptr<Boundary> boundary;
  bool too_large = true;
  while (too_large) {
    boundary = points.backend().find_boundary(probes, rule, prices);
    too_large = shrink(projected_bytes(*boundary, probes.view().rows, points.rows()));
  }
  do {
    boundary.reset();
    points.for_each([&](const Points& block, int64_t first) {
      points.backend().add_boundary(block, rule, prices, boundary);
      too_large = shrink(projected_bytes(*boundary, first + block.view().rows, points.rows()));
      return !too_large;
    });
  } while (too_large);
  return boundary;
}

/// Returns how far a price may move in the next pass, after it moved by `change` of `reach`: twice
/// the reach if it was held back or its part still wants to move that way, otherwise twice
/// `change`.
float next_reach(float reach, float change, bool wanting) {
  constexpr float least = 1.5F, most = 1024;
  return std::clamp(change >= reach || wanting ? 2 * reach : 2 * std::abs(change), least, most);
}

/// Sets the next reach of all parts; returns whether any may move farther than before.
bool set_next_reach(const PriceSearch::Result& found, const SizeRange& wanted, PriceReach& reach) {
  bool further = false;
  for (size_t c = 0; c < found.sizes.size(); ++c) {
    const float up = next_reach(reach.up[c], found.change[c], found.sizes[c] > wanted.most);
    const float down = next_reach(reach.down[c], -found.change[c], found.sizes[c] < wanted.least);
    further |= up > reach.up[c] || down > reach.down[c];
    reach.up[c] = up;
    reach.down[c] = down;
  }
  return further;
}

/// Returns the goal of a fit. The sizes of a sample are uncertain, so a rough goal will do there;
/// the goal for all points leaves room for the rounding of the final scores.
SizeGoal size_goal(double target, int64_t points, const PriceParams& params) {
  const SizeRange wanted = SizeRange::around(target, 0.9 * params.tolerance);
  if (params.rough) {
    return {wanted, SizeRange::around(target, 2.5 * params.tolerance), points / 200};
  }
  const SizeRange all(target, params.tolerance);
  return {wanted.within(all), SizeRange::around(target, 0.98 * params.tolerance).within(all),
          INT64_MAX};
}

/// Returns the bytes with which going over the candidates in all rounds takes about as long as
/// finding them, K·D products a point: with fewer, more passes would be needed.
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
  constexpr int patience = 3;  // passes without progress
  constexpr float first_reach = 4;
  const Parts parts(params.part_of, params.parts, centroids, params.corrections);
  const double target = static_cast<double>(points.rows()) / static_cast<double>(parts.count());
  const SizeGoal goal = size_goal(target, points.rows(), params);
  const int64_t most_bytes = boundary_bytes(points.rows());
  const int64_t worthwhile = std::min(most_bytes, worthwhile_bytes(points.rows(), centroids));
  PriceFit fit{.reach = params.reach};
  PriceReach& reach = fit.reach;
  for (std::vector<float>* way : {&reach.down, &reach.up}) {
    way->resize(parts.count());
    for (float& r : *way) r = std::max(r, first_reach);
  }
  PriceSearch search(parts, goal);
  std::vector<float> best(prices.begin(), prices.end());
  std::optional<CentroidTree> tree;
  if (params.near && points.backend().searches_near()) {
    tree = centroid_tree({centroids, prices}, points.probes(), points.backend());
    if (!tree->is_worthwhile()) tree.reset();
  }
  int64_t least_excess = INT64_MAX;
  bool progress = true;  // whether the last pass made progress
  for (int idle = 0; fit.passes < params.passes && !fit.within && idle < patience; ++fit.passes) {
    const PricedCentroids rule{centroids, prices, tree ? &*tree : nullptr};
    const float gap = points.backend().mean_gap(points.probes(), rule);
    if (!(gap > 0) || !std::isfinite(gap)) break;  // one centroid, or only equal points
    const auto boundary =
        find_boundary(points, rule, parts, progress ? worthwhile : most_bytes, gap, reach);
    const auto found = search.improve(*boundary, reach, gap, params.rounds, prices);
    fit.rounds += found.rounds;
    fit.within = found.within;
    const bool further = set_next_reach(found, goal.wanted, reach);
    progress = static_cast<double>(found.excess) < 0.99 * static_cast<double>(least_excess);
    idle = progress ? 0 : further ? idle : idle + 1;
    if (found.excess <= least_excess || fit.within) {
      least_excess = found.excess;
      best.assign(prices.begin(), prices.end());
    }
  }
  std::copy(best.begin(), best.end(), prices.begin());
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
