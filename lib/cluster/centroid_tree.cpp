#include "cluster/centroid_tree.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/threads.h"
#include "cluster/kmeans.h"
#include "cluster/nearest.h"

namespace hardmoe {
namespace {

/// Returns the groups, about 2·√K of them.
CentroidTree grouped(MatrixView centroids) {
  constexpr double groups_a_root = 2;
  constexpr int iterations = 10;
  const auto root = std::sqrt(static_cast<double>(centroids.rows));
  const int64_t count = std::clamp<int64_t>(std::lround(groups_a_root * root), 1, centroids.rows);
  const KMeansResult found = kmeans(centroids, {.clusters = count,
                                                .iterations = iterations,
                                                .seed = 1,
                                                .start_rule = KMeansStart::plus_plus,
                                                .search = KMeansSearch::exact});
  CentroidTree tree;
  std::vector<float> centers;
  for (int64_t g = 0; g < count; ++g) {
    const int64_t size = found.sizes[static_cast<size_t>(g)];
    if (size == 0) continue;  // centroids are equal
    const float* center = matrix_view(found.centroids).row(g);
    centers.insert(centers.end(), center, center + centroids.cols);
    tree.first.push_back(tree.first.back() + static_cast<int32_t>(size));
  }
  tree.centers = Tensor(DType::f32, {std::ssize(tree.first) - 1, centroids.cols});
  std::ranges::copy(centers, tree.centers.as<float>().begin());
  tree.order.resize(static_cast<size_t>(centroids.rows));
  std::iota(tree.order.begin(), tree.order.end(), uint16_t{0});
  std::ranges::stable_sort(tree.order, {}, [&](uint16_t c) { return found.assignment[c]; });
  return tree;
}

/// Returns each centroid's group.
std::vector<int64_t> group_of_each(const CentroidTree& tree) {
  std::vector<int64_t> group_of(tree.order.size());
  for (int64_t g = 0; g < tree.groups(); ++g) {
    const auto at = static_cast<size_t>(g);
    for (int32_t i = tree.first[at]; i < tree.first[at + 1]; ++i) {
      group_of[tree.order[static_cast<size_t>(i)]] = g;
    }
  }
  return group_of;
}

/// Returns for each probe how many groups are nearer than that of the best centroid.
std::vector<int64_t> nearer_groups(const CentroidTree& tree, MatrixView probes,
                                   std::span<const uint16_t> best) {
  const std::vector<int64_t> group_of = group_of_each(tree);
  const CentroidTable centers(matrix_view(tree.centers));
  const int64_t groups = tree.groups();
  std::vector<int64_t> nearer(best.size());
  parallel_for(probes.rows, centers.block_rows(), [&](int64_t begin, int64_t end) {
    for_each_scores(probes, centers, begin, end, [&](int64_t row, const float* scores) {
      const auto at = static_cast<size_t>(row);
      const float own = scores[group_of[best[at]]];
      nearer[at] = std::count_if(scores, scores + groups, [&](float s) { return s < own; });
    });
  });
  return nearer;
}

}  // namespace

CentroidTree centroid_tree(const PricedCentroids& rule, const Points& probes,
                           ClusterBackend& backend) {
  constexpr double wanted = 0.999;
  CentroidTree tree = grouped(rule.centroids);
  std::vector<uint16_t> best(static_cast<size_t>(probes.view().rows));
  PassTotals totals(rule.centroids.rows, rule.centroids.cols);
  backend.begin_pass({rule.centroids, rule.prices})->assign(probes, 0, best, totals);
  std::vector<int64_t> nearer = nearer_groups(tree, probes.view(), best);
  std::ranges::sort(nearer);
  const auto count = static_cast<double>(nearer.size());
  const auto last = static_cast<size_t>(std::max(std::ceil(wanted * count) - 1, 0.0));
  tree.compared = nearer[last] + 1;
  const auto found = std::ranges::upper_bound(nearer, nearer[last]) - nearer.begin();
  tree.agreement = static_cast<double>(found) / count;
  return tree;
}

}  // namespace hardmoe
