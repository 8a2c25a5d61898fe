#include <algorithm>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "base/threads.h"
#include "cluster/kernels.h"
#include "cluster/kmeans.h"
#include "cluster/sample.h"

namespace hardmoe {
namespace {

/// An index drawn with probability weights[i] / Σ weights; any index if all weights are zero.
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

}  // namespace

Tensor kmeans_plus_plus(MatrixView points, const KMeansParams& params) {
  constexpr int64_t sample_a_cluster = 64;
  const Tensor sample =
      sample_rows(points, std::max(params.start_sample, sample_a_cluster * params.clusters),
                  Random(params.seed, RandomUse::kmeans, 1));
  const MatrixView rows = matrix_view(sample);
  Random random(params.seed, RandomUse::kmeans, 2);
  Tensor centroids(DType::f32, {params.clusters, points.cols});
  float* target = centroids.as<float>().data();
  const Kernels& kernels = supported_kernels()[0];

  // ‖row − nearest centroid so far‖²; nothing is chosen yet, so the first draw is uniform.
  std::vector<float> nearest(static_cast<size_t>(rows.rows), std::numeric_limits<float>::max());
  int64_t chosen = static_cast<int64_t>(random.below(static_cast<uint64_t>(rows.rows)));
  for (int64_t k = 0; k < params.clusters; ++k) {
    if (k > 0) chosen = draw(nearest, random);
    const float* centroid = rows.row(chosen);
    std::copy_n(centroid, rows.cols, target + k * rows.cols);
    parallel_for(rows.rows, 1024, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float& known = nearest[static_cast<size_t>(i)];
        known = std::min(known, kernels.squared_distance(rows.row(i), centroid, rows.cols));
      }
    });
  }
  return centroids;
}

}  // namespace hardmoe
