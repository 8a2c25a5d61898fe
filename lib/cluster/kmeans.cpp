#include "cluster/kmeans.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/threads.h"
#include "cluster/balance.h"
#include "cluster/nearest.h"
#include "cluster/sample.h"

namespace hardmoe {
namespace {

/// What one pass over the points found, in one segment or in all.
struct PassTotals {
  std::vector<double> sums;    ///< K×D: the sum of each part's points; empty if not wanted
  std::vector<int64_t> sizes;  ///< K
  double inertia = 0;
  int64_t moved = 0;

  PassTotals(int64_t clusters, int64_t depth)
      : sums(static_cast<size_t>(clusters * depth)), sizes(static_cast<size_t>(clusters)) {}

  void add(const PassTotals& other) {
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += other.sums[i];
    for (size_t i = 0; i < sizes.size(); ++i) sizes[i] += other.sizes[i];
    inertia += other.inertia;
    moved += other.moved;
  }
};

/// Assigns points [begin, end) and adds them to `totals` while they are in the cache.
void pass_segment(MatrixView points, MatrixView centroids, const CentroidTable& table,
                  int64_t begin, int64_t end, std::span<uint16_t> assignment, PassTotals& totals) {
  const Kernels& kernels = supported_kernels()[0];
  const int64_t block = table.block_rows();
  std::vector<float> scores(static_cast<size_t>(block * table.stride()));
  std::vector<int32_t> index(static_cast<size_t>(block));
  for (int64_t first = begin; first < end; first += block) {
    const int64_t rows = std::min(block, end - first);
    table.score(points.slice(first, first + rows), scores.data());
    table.nearest(scores.data(), rows, index.data());
    for (int64_t r = 0; r < rows; ++r) {
      const float* point = points.row(first + r);
      const int32_t c = index[static_cast<size_t>(r)];
      uint16_t& part = assignment[static_cast<size_t>(first + r)];
      totals.moved += part != c;
      part = static_cast<uint16_t>(c);
      ++totals.sizes[static_cast<size_t>(c)];
      // From the difference itself: the score has lost digits to ‖z‖².
      totals.inertia += double{kernels.squared_distance(point, centroids.row(c), points.cols)};
      add_to_sums(point, points.cols, totals.sums.data() + c * points.cols);
    }
  }
}

PassTotals pass(MatrixView points, MatrixView centroids, std::span<const float> prices,
                std::span<uint16_t> assignment) {
  const CentroidTable table(centroids, prices);
  const int64_t bytes = centroids.rows * centroids.cols * static_cast<int64_t>(sizeof(double));
  const int64_t segments = segment_count(points.rows, bytes);
  std::vector<PassTotals> partial(static_cast<size_t>(segments),
                                  PassTotals(centroids.rows, centroids.cols));
  parallel_for(segments, 1, [&](int64_t begin, int64_t end) {
    for (int64_t s = begin; s < end; ++s) {
      pass_segment(points, centroids, table, points.rows * s / segments,
                   points.rows * (s + 1) / segments, assignment, partial[static_cast<size_t>(s)]);
    }
  });
  for (size_t s = 1; s < partial.size(); ++s) partial[0].add(partial[s]);
  return std::move(partial[0]);
}

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
                    const std::function<void(const KMeansIteration&)>& observe) {
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

  Tensor sample;
  MatrixView priced = points;
  if (balanced && params.price_sample < points.rows) {
    sample = sample_rows(points, params.price_sample, Random(params.seed, RandomUse::kmeans, 3));
    priced = matrix_view(sample);
  }
  for (int iteration = 0; iteration < params.iterations; ++iteration) {
    const MatrixView centroids = matrix_view(result.centroids);
    if (balanced) {
      fit_prices(priced, centroids, {.tolerance = params.tolerance / 2, .rounds = 60, .passes = 16},
                 result.prices);
    }
    const PassTotals totals = pass(points, centroids, result.prices, result.assignment);
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

  const MatrixView centroids = matrix_view(result.centroids);
  if (balanced) fit_prices(points, centroids, {.tolerance = params.tolerance}, result.prices);
  PassTotals totals = pass(points, centroids, result.prices, result.assignment);
  result.inertia = totals.inertia;
  result.sizes = std::move(totals.sizes);
  result.balanced = !balanced || sizes_within(result.sizes, params.tolerance);
  return result;
}

}  // namespace hardmoe
