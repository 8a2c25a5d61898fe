#include "cluster/kmeans.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "cluster/balance.h"
#include "cluster/sample.h"

namespace hardmoe {
namespace {

/// The `nth` point of part `part`.
int64_t member(std::span<const uint16_t> assignment, int64_t part, int64_t nth) {
  int64_t i = 0;
  for (;; ++i) {
    if (assignment[static_cast<size_t>(i)] == part && nth-- == 0) return i;
  }
}

/// Gives each empty part half of the largest: the two centroids are set apart on either side of the
/// old one, along the line to one of its points, and share its price. Returns how many.
int64_t split_largest(MatrixView points, std::span<const uint16_t> assignment,
                      const std::vector<int64_t>& sizes, Random random, Tensor& centroids,
                      std::span<float> prices) {
  float* rows = centroids.as<float>().data();
  std::vector<int64_t> left = sizes;  // halved with each split; 0 for parts that are given a half
  int64_t count = 0;
  for (size_t empty = 0; empty < sizes.size(); ++empty) {
    if (sizes[empty] != 0) continue;
    const auto found = std::max_element(left.begin(), left.end());
    if (*found < 2) break;
    const auto largest = static_cast<size_t>(found - left.begin());
    const auto nth = static_cast<int64_t>(random.below(static_cast<uint64_t>(sizes[largest])));
    const float* point = points.row(member(assignment, static_cast<int64_t>(largest), nth));
    float* from = rows + static_cast<int64_t>(largest) * points.cols;
    float* to = rows + static_cast<int64_t>(empty) * points.cols;
    for (int64_t d = 0; d < points.cols; ++d) {
      const float half = (point[d] - from[d]) / 2;
      to[d] = from[d] + half;
      from[d] -= half;
    }
    prices[empty] = prices[largest];
    left[largest] /= 2;
    ++count;
  }
  return count;
}

void check(MatrixView points, const KMeansParams& params) {
  if (params.clusters < 1 || params.clusters > 65535) {
    fail_usage("k-means: expected 1 to 65535 clusters, found {}", params.clusters);
  }
  if (points.rows < params.clusters) {
    fail_usage("k-means: {} points cannot make {} clusters; ask for at most {}", points.rows,
               params.clusters, points.rows);
  }
  if (params.iterations < 0) {
    fail_usage("k-means: expected 0 or more iterations, found {}", params.iterations);
  }
  if (!(params.tolerance >= 0)) {
    fail_usage("k-means: expected a tolerance of 0 or more, found {}", params.tolerance);
  }
  const Shape wanted = {params.clusters, points.cols};
  if (params.start != nullptr && params.start->shape() != wanted) {
    fail_usage("k-means: starting centroids of shape {}, expected {}",
               to_string(params.start->shape()), to_string(wanted));
  }
}

}  // namespace

KMeansResult kmeans(MatrixView points, const KMeansParams& params,
                    const std::function<void(const KMeansIteration&)>& observe,
                    ClusterBackend& backend) {
  check(points, params);
  const double start_seconds = now_seconds();
  const bool balanced = params.tolerance > 0;
  const auto clusters = static_cast<size_t>(params.clusters);
  const auto depth = static_cast<size_t>(points.cols);
  KMeansResult result;
  result.centroids =
      params.start != nullptr ? params.start->clone() : kmeans_plus_plus(points, params);
  result.prices.assign(clusters, 0);
  result.assignment.assign(static_cast<size_t>(points.rows), UINT16_MAX);

  const auto all = backend.load(points);
  Tensor sample;
  std::unique_ptr<Points> loaded_sample;
  if (balanced && params.price_sample < points.rows) {
    sample = sample_rows(points, params.price_sample, Random(params.seed, RandomUse::kmeans, 3));
    loaded_sample = backend.load(matrix_view(sample));
  }
  const Points& priced = loaded_sample ? *loaded_sample : *all;
  const auto pass = [&] {
    PassTotals totals(params.clusters, points.cols);
    backend.assign(*all, {matrix_view(result.centroids), result.prices}, result.assignment, totals);
    return totals;
  };
  for (int iteration = 0; iteration < params.iterations; ++iteration) {
    if (balanced) {
      fit_prices(priced, matrix_view(result.centroids),
                 {.tolerance = params.tolerance / 2, .rounds = 60, .passes = 16}, result.prices,
                 backend);
    }
    const PassTotals totals = pass();
    float* rows = result.centroids.as<float>().data();
    for (size_t c = 0; c < clusters; ++c) {
      if (totals.sizes[c] == 0) continue;
      const double scale = 1.0 / static_cast<double>(totals.sizes[c]);
      const size_t first = c * depth;
      for (size_t i = first; i < first + depth; ++i) {
        rows[i] = static_cast<float>(totals.sums[i] * scale);
      }
    }
    const auto [least, most] = std::minmax_element(totals.sizes.begin(), totals.sizes.end());
    KMeansIteration report{
        .inertia = totals.inertia, .smallest = *least, .largest = *most, .moved = totals.moved};
    report.reseeded =
        split_largest(points, result.assignment, totals.sizes,
                      Random(params.seed, RandomUse::kmeans, 16 + static_cast<uint64_t>(iteration)),
                      result.centroids, result.prices);
    report.seconds = now_seconds() - start_seconds;
    result.iterations.push_back(report);
    if (observe) observe(report);
    if (report.moved == 0 && report.reseeded == 0) break;
  }

  if (balanced) {
    fit_prices(*all, matrix_view(result.centroids), {.tolerance = params.tolerance}, result.prices,
               backend);
  }
  PassTotals totals = pass();
  result.inertia = totals.inertia;
  result.sizes = std::move(totals.sizes);
  result.balanced = !balanced || sizes_within(result.sizes, params.tolerance);
  return result;
}

}  // namespace hardmoe
