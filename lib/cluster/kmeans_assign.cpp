#include <utility>

#include "base/random.h"
#include "cluster/balance.h"
#include "cluster/kmeans.h"
#include "cluster/price_sample.h"
#include "cluster/price_search.h"

namespace hardmoe {
namespace {

/// Fits the prices that make parts equal, in place: first on a sample, then on all points.
void fit_final_prices(PointStream& points, const KMeansFit& fit, const KMeansParams& params,
                      std::span<const uint16_t> part_of, int64_t parts, MatrixView centroids,
                      std::span<float> prices) {
  PriceReach reach;
  const double tolerance = params.tolerance;
  if (const int64_t count = PriceSample::size_for_all(points.rows(), points.cols(), parts);
      count < points.rows()) {
    PriceSample sample(points, count, Random(params.seed, RandomUse::kmeans, 4));
    std::vector<int64_t> corrections;
    if (!fit.state.iterations.empty()) {
      corrections = sample.corrections(
          {matrix_view(fit.state.last_centroids), fit.state.last_prices}, fit.assignment);
    }
    reach = fit_prices(sample.points(), centroids,
                       {.tolerance = rough_tolerance(tolerance, count, parts),
                        .part_of = part_of,
                        .parts = parts,
                        .rough = true,
                        .near = searches_near(params),
                        .corrections = corrections},
                       prices)
                .reach;
  }
  fit_prices(points, centroids,
             {.tolerance = tolerance,
              .part_of = part_of,
              .parts = parts,
              .reach = std::move(reach),
              .near = searches_near(params)},
             prices);
}

/// Returns the parts' sizes, summed from their centroids' sizes.
std::vector<int64_t> part_sizes(const PassTotals& totals, std::span<const uint16_t> part_of,
                                int64_t parts) {
  if (part_of.empty()) return totals.sizes;
  std::vector<int64_t> sizes(static_cast<size_t>(parts));
  for (size_t c = 0; c < part_of.size(); ++c) sizes[part_of[c]] += totals.sizes[c];
  return sizes;
}

}  // namespace

KMeansResult assign_parts(PointStream& points, KMeansFit fit, const KMeansParams& params,
                          std::span<const uint16_t> part_of, int64_t parts) {
  KMeansState& state = fit.state;
  if (part_of.empty()) parts = state.centroids.size(0);
  const SizeRange wanted(static_cast<double>(points.rows()) / static_cast<double>(parts),
                         params.tolerance);
  KMeansResult result;
  int64_t excess = 0;
  const auto assign_by = [&](const Tensor& centroids, std::vector<float> prices) {
    const PassTotals totals = assign_all(points, {matrix_view(centroids), prices}, fit.assignment,
                                         fit.cache.get(), searches_near(params));
    result.inertia = totals.inertia;
    result.agreement = totals.agreement;
    result.sizes = part_sizes(totals, part_of, parts);
    result.centroids = centroids;
    result.prices = std::move(prices);
    excess = wanted.excess(result.sizes);
  };
  const auto fit_to = [&](const Tensor& centroids, std::vector<float> prices) {
    if (params.tolerance > 0) {
      fit_final_prices(points, fit, params, part_of, parts, matrix_view(centroids), prices);
    }
    assign_by(centroids, std::move(prices));
  };
  fit_to(state.centroids, state.prices);
  if (params.tolerance > 0 && excess > 0 && !state.best_prices.empty()) {
    const int64_t before = excess;
    const Tensor centroids = result.centroids;
    const std::vector<float> prices = result.prices;
    // The centroids moved on from the best iteration's, or the price search took another path, and
    // the parts became less equal.
    state.last_centroids = centroids;
    state.last_prices = prices;
    fit_to(state.best_centroids, state.best_prices);
    if (excess > 0) {
      const auto fitted = std::pair(excess, result.prices);
      assign_by(state.best_centroids, state.best_prices);
      if (fitted.first < excess) assign_by(state.best_centroids, fitted.second);
    }
    if (before < excess) assign_by(centroids, prices);
  }
  result.balanced = params.tolerance == 0 || excess == 0;
  result.assignment = std::move(fit.assignment);
  result.iterations = std::move(state.iterations);
  return result;
}

}  // namespace hardmoe
