#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "base/threads.h"
#include "cluster/kernels.h"
#include "cluster/kmeans.h"
#include "cluster/nearest.h"
#include "cluster/tree_start.h"

namespace hardmoe {
namespace {

/// Returns an index drawn with probability weights[i] / Σ weights; any index if all weights are
/// zero.
int64_t draw(const std::vector<float>& weights, Random& random) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (!(total > 0)) return static_cast<int64_t>(random.below(weights.size()));
  double left = random.uniform_double() * total;
  int64_t last = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    last = static_cast<int64_t>(i);
    left -= double{weights[i]};
    if (left < 0) break;
  }
  return last;
}

/// Returns the candidate that gives the least Σ nearest (the first of equals), and updates
/// `nearest` for it. `norms`: ‖row‖².
int64_t take_best(MatrixView rows, std::span<const float> norms, MatrixView candidates,
                  std::vector<float>& nearest) {
  const CentroidTable table(candidates);
  const auto count = static_cast<size_t>(candidates.rows);
  std::vector<std::vector<float>> updated(count, nearest);
  parallel_for(rows.rows, table.block_rows(), [&](int64_t begin, int64_t end) {
    for_each_scores(rows, table, begin, end, [&](int64_t i, const float* scores) {
      const auto row = static_cast<size_t>(i);
      for (size_t j = 0; j < count; ++j) {
        // A distance below the score's rounding means a copy of the candidate; it must not be
        // drawn again.
        const float distance = norms[row] + scores[j];
        const float known = distance > 1e-6F * norms[row] ? distance : 0;
        updated[j][row] = std::min(updated[j][row], known);
      }
    });
  });
  std::vector<double> potential;
  for (const auto& distances : updated) {
    potential.push_back(std::accumulate(distances.begin(), distances.end(), 0.0));
  }
  const auto best = std::min_element(potential.begin(), potential.end()) - potential.begin();
  nearest = std::move(updated[static_cast<size_t>(best)]);
  return best;
}

/// Returns K of the sample's rows, chosen by greedy k-means++.
Tensor plus_plus(const Tensor& sample, const KMeansParams& params) {
  const MatrixView rows = matrix_view(sample);
  Random random(params.seed, RandomUse::kmeans, 2);
  Tensor centroids(DType::f32, {params.clusters, rows.cols});
  float* target = centroids.as<float>().data();
  const Kernels& kernels = supported_kernels()[0];

  // ‖row − nearest centroid so far‖²; nothing is chosen yet, so the first draw is uniform.
  std::vector<float> nearest(static_cast<size_t>(rows.rows), std::numeric_limits<float>::max());
  std::vector<float> norms;
  const std::vector<float> origin(static_cast<size_t>(rows.cols));
  for (int64_t i = 0; i < rows.rows; ++i) {
    norms.push_back(kernels.squared_distance(rows.row(i), origin.data(), rows.cols));
  }
  const auto trials = static_cast<int64_t>(2 + std::log(static_cast<double>(params.clusters)));
  for (int64_t k = 0; k < params.clusters; ++k) {
    Tensor candidates(DType::f32, {k == 0 ? 1 : trials, rows.cols});
    for (int64_t j = 0; j < candidates.size(0); ++j) {
      const int64_t chosen =
          k == 0 ? static_cast<int64_t>(random.below(static_cast<uint64_t>(rows.rows)))
                 : draw(nearest, random);
      std::copy_n(rows.row(chosen), rows.cols, candidates.as<float>().data() + j * rows.cols);
    }
    const int64_t best = take_best(rows, norms, matrix_view(candidates), nearest);
    std::copy_n(matrix_view(candidates).row(best), rows.cols, target + k * rows.cols);
  }
  return centroids;
}

}  // namespace

bool starts_from_tree(const KMeansParams& params) {
  constexpr int64_t most_plus_plus = 31;
  return params.start_rule == KMeansStart::tree ||
         (params.start_rule == KMeansStart::automatic && params.clusters > most_plus_plus);
}

int64_t tree_points(int64_t cols, const KMeansParams& params) {
  constexpr int64_t most_bytes = int64_t{768} << 20;
  const int64_t most = std::max(most_bytes / (cols * int64_t{sizeof(float)}), params.clusters);
  constexpr int64_t least = 65536;
  return std::clamp(std::max(least, params.tree_sample * params.clusters), params.clusters, most);
}

Tensor starting_centroids(const PointStream& points, const KMeansParams& params) {
  const Random random(params.seed, RandomUse::kmeans, 1);
  if (params.start_rule == KMeansStart::random) return points.sample(params.clusters, random);
  if (starts_from_tree(params)) {
    const Tensor sample = points.sample(tree_points(points.cols(), params), random);
    return tree_start(matrix_view(sample), params);
  }
  constexpr int64_t sample_a_cluster = 8;
  return plus_plus(
      points.sample(std::max(params.start_sample, sample_a_cluster * params.clusters), random),
      params);
}

}  // namespace hardmoe
