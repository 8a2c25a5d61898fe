#include "cluster/tree_start.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/parallel_for_each.h"
#include "base/signals.h"
#include "cluster/kernels.h"

namespace hardmoe {
namespace {

/// Returns the rows so chosen, copied.
Tensor gathered(MatrixView rows, std::span<const int64_t> chosen) {
  Tensor found = Tensor::uninitialized(DType::f32, {std::ssize(chosen), rows.cols});
  float* to = found.as<float>().data();
  for (const int64_t row : chosen) to = std::copy_n(rows.row(row), rows.cols, to);
  return found;
}

/// The points of one group.
struct Group {
  std::vector<int64_t> rows;
  double inertia = 0;
  int64_t centroids = 0, first = 0;  ///< their number, and the number of the first of them
};

/// Returns groups of near points, about √K of them, none empty.
std::vector<Group> groups_of(MatrixView sample, const KMeansParams& params) {
  constexpr int64_t points_a_group = 256;
  constexpr int iterations = 10;
  const auto count =
      std::max<int64_t>(1, std::lround(std::sqrt(static_cast<double>(params.clusters))));
  const int64_t stride = std::max<int64_t>(1, sample.rows / (points_a_group * count));
  std::vector<int64_t> few;
  for (int64_t row = 0; row < sample.rows; row += stride) few.push_back(row);
  const Tensor points = gathered(sample, few);
  const KMeansResult fit = kmeans(
      matrix_view(points), {.clusters = count, .iterations = iterations, .seed = params.seed});
  const MatrixView centroids = matrix_view(fit.centroids);
  std::vector<uint16_t> group_of(static_cast<size_t>(sample.rows));
  const MatrixSource source(sample);
  PointStream points_of_all(source, cpu_cluster_backend());
  const std::vector<float> prices(static_cast<size_t>(count), 0);
  assign_all(points_of_all, {centroids, prices}, group_of);

  std::vector<Group> groups(static_cast<size_t>(count));
  const auto squared_distance = supported_kernels()[0].squared_distance;
  for (int64_t row = 0; row < sample.rows; ++row) {
    const uint16_t number = group_of[static_cast<size_t>(row)];
    Group& group = groups[number];
    group.rows.push_back(row);
    group.inertia += double{squared_distance(sample.row(row), centroids.row(number), sample.cols)};
  }
  std::erase_if(groups, [](const Group& group) { return group.rows.empty(); });
  return groups;
}

/// Shares K centroids among the groups by inertia: one at least for each, and no more than points.
void share_centroids(int64_t clusters, std::vector<Group>& groups) {
  const double inertia =
      std::accumulate(groups.begin(), groups.end(), 0.0,
                      [](double sum, const Group& g) { return sum + g.inertia; });
  int64_t left = clusters;
  for (Group& group : groups) {
    const double share = inertia > 0 ? group.inertia / inertia : 0;
    group.centroids = std::clamp<int64_t>(
        static_cast<int64_t>(share * static_cast<double>(clusters)), 1, std::ssize(group.rows));
    left -= group.centroids;
  }
  // What rounding left over or took goes to, or comes from, the groups with the most or the least
  // inertia a centroid.
  const auto load = [](const Group& g) { return g.inertia / static_cast<double>(g.centroids); };
  for (; left != 0; left += left > 0 ? -1 : 1) {
    Group* chosen = nullptr;
    for (Group& group : groups) {
      const bool more = left > 0;
      if (more ? group.centroids == std::ssize(group.rows) : group.centroids == 1) continue;
      if (chosen == nullptr || (more ? load(group) > load(*chosen) : load(group) < load(*chosen))) {
        chosen = &group;
      }
    }
    chosen->centroids += left > 0 ? 1 : -1;
  }
}

}  // namespace

Tensor tree_start(MatrixView sample, const KMeansParams& params) {
  constexpr int iterations = 8;
  constexpr int64_t drawn_a_centroid = 8;  // of which k-means++ takes one
  std::vector<Group> groups = groups_of(sample, params);
  share_centroids(params.clusters, groups);
  int64_t first = 0;
  for (Group& group : groups) {
    group.first = first;
    first += group.centroids;
  }
  Tensor centroids(DType::f32, {params.clusters, sample.cols});
  float* all = centroids.as<float>().data();
  // A thread a group: what kmeans() does in parallel is then done by one thread.
  parallel_for_each(std::ssize(groups), [&](int64_t number) {
    const Group& group = groups[static_cast<size_t>(number)];
    const Tensor points = gathered(sample, group.rows);
    const KMeansResult fit =
        kmeans(matrix_view(points), {.clusters = group.centroids,
                                     .iterations = iterations,
                                     .seed = params.seed + static_cast<uint64_t>(number) + 1,
                                     .start_sample = drawn_a_centroid * group.centroids,
                                     .start_rule = KMeansStart::plus_plus,
                                     .search = KMeansSearch::exact});
    std::copy_n(fit.centroids.as<float>().data(), fit.centroids.elements(),
                all + group.first * sample.cols);
  });
  throw_if_interrupted();
  return centroids;
}

}  // namespace hardmoe
