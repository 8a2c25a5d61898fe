#include "moe/partition.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "cluster/balance.h"
#include "cluster/kernels.h"
#include "data/dataset.h"

namespace hardmoe {
namespace {

/// The first N/K images of a random order are expert 0's, and so on.
std::vector<uint16_t> random_parts(int64_t images, int64_t experts, uint64_t seed) {
  const auto order = random_permutation(images, Random(seed, RandomUse::partition));
  std::vector<uint16_t> assignment(order.size());
  for (int64_t i = 0; i < images; ++i) {
    assignment[static_cast<size_t>(order[static_cast<size_t>(i)])] =
        static_cast<uint16_t>(i * experts / images);
  }
  return assignment;
}

std::vector<uint16_t> top_tag_parts(std::span<const int32_t> top_tags, int64_t experts) {
  const int32_t most = *std::max_element(top_tags.begin(), top_tags.end());
  std::vector<int64_t> images(static_cast<size_t>(most + 1));
  for (const int32_t tag : top_tags) {
    if (tag >= 0) ++images[static_cast<size_t>(tag)];
  }
  std::vector<size_t> order(images.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return images[a] > images[b]; });
  std::vector<int64_t> sizes(static_cast<size_t>(experts));
  std::vector<uint16_t> part_of(images.size());
  const auto smallest = [&] {
    return static_cast<size_t>(std::min_element(sizes.begin(), sizes.end()) - sizes.begin());
  };
  for (const size_t tag : order) {
    const size_t part = smallest();
    part_of[tag] = static_cast<uint16_t>(part);
    sizes[part] += images[tag];
  }
  std::vector<uint16_t> assignment(top_tags.size());
  for (size_t i = 0; i < assignment.size(); ++i) {
    if (top_tags[i] >= 0) {
      assignment[i] = part_of[static_cast<size_t>(top_tags[i])];
    } else {
      const size_t part = smallest();
      assignment[i] = static_cast<uint16_t>(part);
      ++sizes[part];
    }
  }
  return assignment;
}

/// K×P: the mean of each part's points; zeros for an empty one.
Tensor part_means(MatrixView points, std::span<const uint16_t> assignment, int64_t experts) {
  std::vector<double> sums(static_cast<size_t>(experts * points.cols));
  std::vector<int64_t> counts(static_cast<size_t>(experts));
  for (int64_t i = 0; i < points.rows; ++i) {
    const uint16_t part = assignment[static_cast<size_t>(i)];
    ++counts[part];
    add_to_sums(points.row(i), points.cols, sums.data() + part * points.cols);
  }
  Tensor means(DType::f32, {experts, points.cols});
  const auto values = means.as<float>();
  for (size_t i = 0; i < sums.size(); ++i) {
    const int64_t count = counts[i / static_cast<size_t>(points.cols)];
    values[i] = static_cast<float>(sums[i] / static_cast<double>(std::max<int64_t>(count, 1)));
  }
  return means;
}

double inertia_about(MatrixView points, MatrixView means, std::span<const uint16_t> assignment) {
  const Kernels& kernels = supported_kernels()[0];
  double sum = 0;
  for (int64_t i = 0; i < points.rows; ++i) {
    const float* mean = means.row(assignment[static_cast<size_t>(i)]);
    sum += double{kernels.squared_distance(points.row(i), mean, points.cols)};
  }
  return sum;
}

void partition_by_kmeans(MatrixView points,
                         const std::function<void(const KMeansIteration&)>& observe,
                         ClusterBackend& backend, Partition& partition) {
  KMeansResult found = kmeans(points,
                              {.clusters = partition.config.experts,
                               .iterations = partition.config.iterations,
                               .seed = partition.seed,
                               .tolerance = partition.config.tolerance},
                              observe, backend);
  partition.assignment = std::move(found.assignment);
  partition.inertia = found.inertia;
  partition.balanced = found.balanced;
  partition.iterations = std::move(found.iterations);
  partition.gater.centroids = std::move(found.centroids);
  partition.gater.prices = std::move(found.prices);
}

/// The controls' parts are given; their means stand in for centroids.
void partition_by_control(MatrixView points, std::vector<uint16_t> assignment,
                          Partition& partition) {
  const Tensor means = part_means(points, assignment, partition.config.experts);
  partition.inertia = inertia_about(points, matrix_view(means), assignment);
  partition.assignment = std::move(assignment);
  partition.gater.prices.assign(static_cast<size_t>(partition.config.experts), 0);
  if (partition.config.method == PartitionMethod::random) {
    partition.gater.pca.reset();
  } else {
    partition.gater.centroids = means;
  }
}

}  // namespace

void check_partition(MatrixView features, std::span<const int32_t> top_tags,
                     const PartitionConfig& config) {
  check_partition_config(config);
  if (features.rows < config.experts) {
    fail_usage("partition.experts: {} images cannot be given to {} experts; ask for at most {}",
               features.rows, config.experts, features.rows);
  }
  if (features.cols < 1) fail_usage("the embedding has rows of no values");
  if (config.pca > 0 && features.rows < 2) {
    fail_usage("partition.pca: PCA needs at least 2 images; set it to 0");
  }
  if (config.method == PartitionMethod::top_tag &&
      static_cast<int64_t>(top_tags.size()) != features.rows) {
    fail_usage("partition by top-tag: tags of {} images, features of {}; they must be of one split",
               top_tags.size(), features.rows);
  }
}

Partition partition_images(MatrixView features, std::span<const int32_t> top_tags,
                           const PartitionConfig& config, uint64_t seed,
                           const std::function<void(const KMeansIteration&)>& observe,
                           ClusterBackend& backend) {
  check_partition(features, top_tags, config);
  if (const int64_t row = first_row_not_finite(features); row >= 0) {
    fail("the feature of image {} holds a NaN or an infinity; embed the images again", row);
  }
  Partition partition;
  partition.config = config;
  partition.seed = seed;
  partition.gater.kind = config.method;
  partition.gater.experts = config.experts;
  partition.gater.seed = seed;
  partition.gater.inputs = features.cols;

  Tensor projected;
  MatrixView points = features;
  if (config.pca > 0) {
    Pca pca =
        fit_pca(features, std::min<int64_t>(config.pca, features.cols), config.whiten, backend);
    const double kept = std::accumulate(pca.variance.begin(), pca.variance.end(), 0.0);
    partition.explained_variance = pca.total_variance > 0 ? kept / pca.total_variance : 1;
    projected = transform(pca, features, backend);
    points = matrix_view(projected);
    partition.gater.pca = std::move(pca);
  }
  switch (config.method) {
    case PartitionMethod::kmeans:
      partition_by_kmeans(points, observe, backend, partition);
      break;
    case PartitionMethod::random:
      partition_by_control(points, random_parts(features.rows, config.experts, seed), partition);
      break;
    case PartitionMethod::top_tag:
      partition_by_control(points, top_tag_parts(top_tags, config.experts), partition);
      break;
  }
  partition.sizes.assign(static_cast<size_t>(config.experts), 0);
  for (const uint16_t part : partition.assignment) ++partition.sizes[part];
  partition.imbalance =
      static_cast<double>(*std::max_element(partition.sizes.begin(), partition.sizes.end())) *
      static_cast<double>(config.experts) / static_cast<double>(features.rows);
  partition.balanced = config.tolerance == 0 || sizes_within(partition.sizes, config.tolerance);
  return partition;
}

std::vector<int32_t> most_frequent_tags(const Split& split) {
  std::vector<int32_t> tags(static_cast<size_t>(split.size()), -1);
  for (size_t i = 0; i < tags.size(); ++i) {
    const auto of_image = split.tags(static_cast<int64_t>(i));
    if (!of_image.empty()) tags[i] = of_image.front();
  }
  return tags;
}

}  // namespace hardmoe
