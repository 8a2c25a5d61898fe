#include "cluster/kmeans.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/signals.h"
#include "cluster/balance.h"
#include "cluster/centroid_tree.h"
#include "cluster/price_sample.h"

namespace hardmoe {
namespace {

/// Returns the index of the `nth` point of part `part`, counted from 0.
int64_t member(std::span<const uint16_t> assignment, int64_t part, int64_t nth) {
  int64_t i = 0;
  for (;; ++i) {
    if (assignment[static_cast<size_t>(i)] == part && nth-- == 0) return i;
  }
}

/// Gives each empty part half of the largest one: the two centroids are placed on either side of
/// the old one, along the line to one of its points, and share its price. The last `fixed`
/// centroids are left alone. Returns the number of parts filled.
int64_t split_largest(const PointStream& points, std::span<const uint16_t> assignment,
                      const std::vector<int64_t>& sizes, int64_t fixed, Random random,
                      Tensor& centroids, std::span<float> prices) {
  float* rows = centroids.as<float>().data();
  const int64_t depth = points.cols();
  std::vector<float> point(static_cast<size_t>(depth));
  std::vector<int64_t> left = sizes;  // halved with each split; 0 for parts that were given a half
  std::fill(left.end() - fixed, left.end(), 0);
  int64_t count = 0;
  for (size_t empty = 0; empty < sizes.size() - static_cast<size_t>(fixed); ++empty) {
    if (sizes[empty] != 0) continue;
    const auto found = std::max_element(left.begin(), left.end());
    if (*found < 2) break;
    const auto largest = static_cast<size_t>(found - left.begin());
    const auto nth = static_cast<int64_t>(random.below(static_cast<uint64_t>(sizes[largest])));
    points.read(member(assignment, static_cast<int64_t>(largest), nth), 1, point.data());
    float* from = rows + static_cast<int64_t>(largest) * depth;
    float* to = rows + static_cast<int64_t>(empty) * depth;
    for (int64_t d = 0; d < depth; ++d) {
      const float half = (point[static_cast<size_t>(d)] - from[d]) / 2;
      to[d] = from[d] + half;
      from[d] -= half;
    }
    prices[empty] = prices[largest];
    left[largest] /= 2;
    ++count;
  }
  return count;
}

void check(const PointStream& points, const KMeansParams& params) {
  if (params.clusters < 1 || params.clusters > 65535) {
    fail_usage("k-means: expected 1 to 65535 clusters, found {}", params.clusters);
  }
  if (points.rows() < params.clusters) {
    fail_usage("k-means: {} points cannot make {} clusters; ask for at most {}", points.rows(),
               params.clusters, points.rows());
  }
  if (params.iterations < 0) {
    fail_usage("k-means: expected 0 or more iterations, found {}", params.iterations);
  }
  if (!(params.tolerance >= 0)) {
    fail_usage("k-means: expected a tolerance of 0 or more, found {}", params.tolerance);
  }
  const Shape wanted = {params.clusters, points.cols()};
  if (params.start != nullptr && params.start->shape() != wanted) {
    fail_usage("k-means: starting centroids of shape {}, expected {}",
               to_string(params.start->shape()), to_string(wanted));
  }
  if (params.fixed < 0 || params.fixed > (params.start != nullptr ? params.clusters : 0)) {
    fail_usage("k-means: {} of {} starting centroids cannot be fixed", params.fixed,
               params.start != nullptr ? params.clusters : 0);
  }
}

/// Returns how many points set the prices between iterations.
int64_t price_points(int64_t rows, const KMeansParams& params) {
  return std::min(rows, std::max(params.price_sample, 16 * params.clusters));
}

/// Returns whether further iterations would change little: no point moved or, in a fit that began near
/// its end or has prices, which always move some points, inertia fell by less than `progress`.
bool settled(const std::vector<KMeansIteration>& iterations, bool from_near, double progress) {
  if (iterations.empty() || iterations.back().reseeded != 0) return false;
  if (iterations.back().moved == 0) return true;
  const size_t count = iterations.size();
  return from_near && count > 1 &&
         iterations[count - 1].inertia > (1 - progress) * iterations[count - 2].inertia;
}

/// Returns the state in which the iterations over all points begin. A balanced fit begins where a
/// fit of `sample` (null: none) ended, since few points suffice for most of the way.
KMeansState starting_state(const PointStream& points, const KMeansParams& params,
                           PointStream* sample) {
  KMeansState state;
  state.centroids =
      params.start != nullptr ? params.start->clone() : starting_centroids(points, params);
  state.prices.assign(static_cast<size_t>(params.clusters), 0);
  if (sample == nullptr || params.iterations == 0) return state;
  KMeansParams first = params;
  first.start = &state.centroids;
  const auto observe = [](const KMeansState&) { throw_if_interrupted(); };
  KMeansState found = fit_centroids(*sample, first, observe).state;
  log_info("began with {} of {} points: {} iterations, {:.1f} s", sample->rows(), points.rows(),
           found.iterations.size(), found.iterations.back().seconds);
  state.centroids = std::move(found.centroids);
  state.prices = std::move(found.prices);
  return state;
}

/// Moves centroids to the means of their parts, except those of empty parts and the last `fixed`.
void move_to_means(const PassTotals& totals, int64_t fixed, Tensor& centroids) {
  float* rows = centroids.as<float>().data();
  const size_t depth = totals.sums.size() / totals.sizes.size();
  for (size_t c = 0; c < totals.sizes.size() - static_cast<size_t>(fixed); ++c) {
    if (totals.sizes[c] == 0) continue;
    const double scale = 1.0 / static_cast<double>(totals.sizes[c]);
    for (size_t i = c * depth; i < (c + 1) * depth; ++i) {
      rows[i] = static_cast<float>(totals.sums[i] * scale);
    }
  }
}

/// Keeps this iteration's rule if its parts are at least as equal as those of all before.
void keep_best(const KMeansIteration& now, int64_t points, KMeansState& state) {
  const int64_t mean = points / std::ssize(state.prices);
  const int64_t off = std::max(now.largest - mean, mean - now.smallest);
  if (off > state.best_off) return;
  state.best_off = off;
  state.best_centroids = state.last_centroids;
  state.best_prices = state.last_prices;
}

}  // namespace

bool searches_near(const KMeansParams& params) {
  constexpr int64_t most_exact = 4096;
  return params.search == KMeansSearch::near ||
         (params.search == KMeansSearch::automatic && params.clusters > most_exact);
}

PassTotals assign_all(PointStream& points, PricedCentroids rule, std::span<uint16_t> assignment,
                      PassCache* cache, bool near) {
  PassTotals totals(rule.centroids.rows, rule.centroids.cols);
  CentroidTree tree;
  if (near && points.backend().searches_near()) {
    tree = centroid_tree(rule, points.probes(), points.backend());
    if (tree.is_worthwhile()) {
      rule.tree = &tree;
      totals.agreement = tree.agreement;
    }
  }
  const auto pass = points.backend().begin_pass(rule, cache);
  points.for_each([&](const Points& block, int64_t first) {
    const auto rows = static_cast<size_t>(block.view().rows);
    pass->assign(block, first, assignment.subspan(static_cast<size_t>(first), rows), totals);
    return true;
  });
  return totals;
}

KMeansFit fit_centroids(PointStream& points, const KMeansParams& params,
                        const std::function<void(const KMeansState&)>& observe,
                        const KMeansState* resume) {
  check(points, params);
  const double start_seconds = now_seconds();
  const bool balanced = params.tolerance > 0;
  std::optional<PriceSample> sample;
  if (const int64_t count = price_points(points.rows(), params);
      balanced && count < points.rows()) {
    sample.emplace(points, count, Random(params.seed, RandomUse::kmeans, 3));
  }
  KMeansFit fit;
  KMeansState& state = fit.state;
  fit.assignment.assign(static_cast<size_t>(points.rows()), UINT16_MAX);
  const bool near = searches_near(params);
  const bool from_near = sample || (params.start == nullptr && starts_from_tree(params));
  if (!near) fit.cache = points.make_pass_cache(params.clusters, from_near || resume != nullptr);
  if (resume != nullptr) {
    state = *resume;
    assign_all(points, {matrix_view(state.last_centroids), state.last_prices}, fit.assignment,
               fit.cache.get(), near);
  } else {
    state = starting_state(points, params, sample ? &sample->points() : nullptr);
  }
  PointStream& priced = sample ? sample->points() : points;
  while (static_cast<int>(state.iterations.size()) < params.iterations &&
         !settled(state.iterations, balanced || from_near, params.progress)) {
    if (balanced) {
      fit_prices(priced, matrix_view(state.centroids),
                 {.tolerance = rough_tolerance(params.tolerance, priced.rows(), params.clusters),
                  .rough = true,
                  .near = near},
                 state.prices);
    }
    state.last_centroids = state.centroids.clone();
    state.last_prices = state.prices;
    const PassTotals totals = assign_all(points, {matrix_view(state.centroids), state.prices},
                                         fit.assignment, fit.cache.get(), near);
    move_to_means(totals, params.fixed, state.centroids);
    const auto [least, most] = std::minmax_element(totals.sizes.begin(), totals.sizes.end());
    KMeansIteration report{
        .inertia = totals.inertia, .smallest = *least, .largest = *most, .moved = totals.moved};
    if (balanced) keep_best(report, points.rows(), state);
    report.reseeded = split_largest(
        points, fit.assignment, totals.sizes, params.fixed,
        Random(params.seed, RandomUse::kmeans, 16 + static_cast<uint64_t>(state.iterations.size())),
        state.centroids, state.prices);
    report.seconds = now_seconds() - start_seconds;
    state.iterations.push_back(report);
    if (observe) observe(state);
  }
  return fit;
}

KMeansResult kmeans(PointStream& points, const KMeansParams& params,
                    const std::function<void(const KMeansState&)>& observe,
                    const KMeansState* resume) {
  return assign_parts(points, fit_centroids(points, params, observe, resume), params);
}

KMeansResult kmeans(MatrixView points, const KMeansParams& params,
                    const std::function<void(const KMeansState&)>& observe,
                    ClusterBackend& backend) {
  const MatrixSource source(points);
  constexpr int64_t enough = std::numeric_limits<int64_t>::max();  // all is in memory already
  PointStream stream(source, backend, {.keep_bytes = enough});
  return kmeans(stream, params, observe);
}

int64_t kmeans_bytes(int64_t rows, int64_t cols, int64_t block_rows, const KMeansParams& params) {
  const int64_t clusters = params.clusters;
  const int64_t assignment = 2 * rows;
  // Six copies of the centroids (current, last, best, result, prepared, cached), two more in a tree's
  // order, and two of their sums in float64 (total and one block's).
  const int64_t copies = searches_near(params) ? 8 : 6;
  const int64_t tables = clusters * cols * (copies * 4 + 2 * 8) + clusters * 64;
  const int64_t block = block_rows * (16 + cols * 8 / 512);  // parts, order, pending sums
  const bool tree = starts_from_tree(params);
  const int64_t start_points =
      tree ? tree_points(cols, params) : std::max(params.start_sample, 8 * clusters);
  // A tree copies its groups' points one after the other, and keeps bounds for them.
  const int64_t start = std::min(rows, start_points) * (cols + (tree ? cols / 4 : 0) + 16) * 4;
  int64_t prices = 0;
  if (params.tolerance > 0) {
    prices = boundary_bytes(rows) + cols * 4 *
                                        std::max(price_points(rows, params),
                                                 PriceSample::size_for_all(rows, cols, clusters));
  }
  return assignment + tables + block + std::max(start, prices);
}

}  // namespace hardmoe
