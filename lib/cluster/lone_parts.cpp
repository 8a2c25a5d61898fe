#include "cluster/lone_parts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/signals.h"
#include "cluster/balance.h"
#include "cluster/lone_scores.h"
#include "cluster/price_search.h"

namespace hardmoe {
namespace {

SizeRange range_about_mean(std::span<const int64_t> sizes, double tolerance) {
  const int64_t sum = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  return {static_cast<double>(sum) / static_cast<double>(sizes.size()), tolerance};
}

}  // namespace

KMeansResult add_equal_points(PointStream& points, const RowSource& source, const Pca* pca,
                              KMeansResult fit, std::span<const EqualPoints> groups,
                              const PartsWanted& wanted) {
  constexpr int rounds = 14;
  const int64_t depth = points.cols(), fitted = std::ssize(fit.prices), count = std::ssize(groups);
  const int64_t fitted_parts = std::ssize(fit.sizes);
  const int64_t empty = std::max<int64_t>(0, wanted.parts - fitted_parts - count);
  KMeansResult result = std::move(fit);
  Tensor centroids(DType::f32, {fitted + count + empty, depth});
  float* values = centroids.as<float>().data();
  if (fitted > 0) std::copy_n(result.centroids.as<float>().data(), fitted * depth, values);
  for (int64_t j = 0; j < count; ++j) {
    std::copy_n(groups[static_cast<size_t>(j)].point.data(), depth, values + (fitted + j) * depth);
  }
  for (int64_t e = 0; e < empty; ++e)
    std::copy_n(values, depth, values + (fitted + count + e) * depth);
  const MatrixView all = matrix_view(centroids);
  std::vector<uint16_t> assignment = std::move(result.assignment);
  assignment.assign(static_cast<size_t>(points.rows()), UINT16_MAX);

  std::vector<float> prices = std::move(result.prices);
  prices.resize(static_cast<size_t>(all.rows));
  const auto of_fit = std::span(prices).first(static_cast<size_t>(fitted));
  const std::vector<float> origin(static_cast<size_t>(depth));
  int64_t equal = 0;
  for (const EqualPoints& group : groups) equal += group.count;
  const SizeRange range(static_cast<double>(points.rows() - equal) /
                            static_cast<double>(std::max<int64_t>(1, fitted_parts)),
                        wanted.tolerance);
  std::vector<uint16_t> part_of(wanted.part_of.begin(), wanted.part_of.end());
  for (int64_t c = 0; !part_of.empty() && c < count + empty; ++c) {
    part_of.push_back(static_cast<uint16_t>(fitted_parts + c));
  }
  const PartsWanted complete{wanted.tolerance, part_of, fitted_parts + count + empty};
  // The excess among the fitted parts themselves, then over their ideal size without the groups.
  std::pair<int64_t, int64_t> least = {std::numeric_limits<int64_t>::max(), 0};
  bool best_is_last = true;
  for (int round = 0; round < rounds; ++round) {
    throw_if_interrupted();
    price_groups(groups, all, fitted, prices);
    double most = 1;
    for (int64_t c = 0; c < fitted + count; ++c) {
      const double price = prices[static_cast<size_t>(c)];
      most = std::max(
          most, std::abs(price) + 4 * exact_squared_distance(all.row(c), origin.data(), depth));
    }
    // The price puts an empty part's score above all others at every point.
    for (int64_t e = fitted + count; e < all.rows; ++e) {
      prices[static_cast<size_t>(e)] = static_cast<float>(prices[0] + most);
    }
    const PassTotals totals = assign_all(points, {all, prices}, assignment);
    KMeansResult now;
    set_totals(totals, complete, now);
    const auto of_others = std::span(now.sizes).first(static_cast<size_t>(fitted_parts));
    const int64_t excess = range.excess(of_others);
    const int64_t unequal =
        excess > 0 ? range_about_mean(of_others, wanted.tolerance).excess(of_others) : 0;
    best_is_last = std::pair(unequal, excess) < least;
    if (best_is_last) {
      least = {unequal, excess};
      result.centroids = centroids.clone();
      result.prices = prices;
      set_totals(totals, complete, result);
    }
    if (excess == 0 || wanted.tolerance == 0 || round + 1 == rounds) break;
    if (round % 2 == 0) {
      turn_away(points, groups, fitted, of_fit, centroids);
      continue;
    }
    RowSet lone(points.rows());
    for (size_t i = 0; i < assignment.size(); ++i) {
      if (assignment[i] >= fitted) lone.insert(static_cast<int64_t>(i));
    }
    lone.count();
    const RemainingRows rest(source, lone);
    PointStream remaining(rest, points.backend(), {.pca = pca});
    fit_prices(
        remaining, all.slice(0, fitted),
        {.tolerance = wanted.tolerance / 2, .part_of = wanted.part_of, .parts = fitted_parts},
        of_fit);
  }
  if (!best_is_last) {
    assign_all(points, {matrix_view(result.centroids), result.prices}, assignment);
  }
  result.assignment = std::move(assignment);
  return result;
}

}  // namespace hardmoe
