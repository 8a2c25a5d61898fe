#include "moe/partition.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "base/threads.h"
#include "cluster/balance.h"
#include "cluster/kernels.h"
#include "cluster/spread.h"
#include "data/dataset.h"
#include "moe/partition_kmeans.h"

namespace hardmoe {
namespace {

/// Gives the first N/K images of a random order to expert 0, and so on.
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

/// Returns the mean of each part's points, K×P; zeros for an empty part.
Tensor part_means(PointStream& points, std::span<const uint16_t> assignment, int64_t experts) {
  const auto depth = static_cast<size_t>(points.cols());
  std::vector<double> sums(static_cast<size_t>(experts) * depth);
  std::vector<int64_t> counts(static_cast<size_t>(experts));
  points.for_each([&](const Points& block, int64_t first) {
    const MatrixView rows = block.view();
    for (int64_t i = 0; i < rows.rows; ++i) {
      const uint16_t part = assignment[static_cast<size_t>(first + i)];
      ++counts[part];
      add_to_sums(rows.row(i), rows.cols, sums.data() + part * depth);
    }
    return true;
  });
  Tensor means(DType::f32, {experts, points.cols()});
  const auto values = means.as<float>();
  for (size_t i = 0; i < sums.size(); ++i) {
    const int64_t count = counts[i / depth];
    values[i] = static_cast<float>(sums[i] / static_cast<double>(std::max<int64_t>(count, 1)));
  }
  return means;
}

double inertia_about(PointStream& points, MatrixView means, std::span<const uint16_t> assignment) {
  const Kernels& kernels = supported_kernels()[0];
  double sum = 0;
  points.for_each([&](const Points& block, int64_t first) {
    const MatrixView rows = block.view();
    for (int64_t i = 0; i < rows.rows; ++i) {
      const float* mean = means.row(assignment[static_cast<size_t>(first + i)]);
      sum += double{kernels.squared_distance(rows.row(i), mean, rows.cols)};
    }
    return true;
  });
  return sum;
}

/// Completes a control partition from its assignment; the parts' means serve as centroids.
void partition_by_control(PointStream& points, std::vector<uint16_t> assignment,
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

/// Returns the most bytes a partition needs if no block of points is kept in memory.
int64_t needed_bytes(const RowSource& features, const PartitionConfig& config,
                     const ClusterBackend& backend) {
  constexpr int64_t program = int64_t{40} << 20;  // the program, its libraries and threads
  const int64_t cols = features.cols();
  const int64_t dimensions = config.pca > 0 ? std::min<int64_t>(config.pca, cols) : cols;
  const int64_t block = std::min(features.rows(), backend.block_rows(cols));
  const int64_t fit = config.method == PartitionMethod::kmeans
                          ? kmeans_partition_bytes(features.rows(), dimensions, block, config)
                          : 10 * features.rows();  // a random order, the assignment
  const int64_t pca = config.pca > 0 ? pca_bytes(cols, block) : 0;
  return program + PointStream::buffer_bytes(block, cols, dimensions, true) +
         std::max({fit, pca, spread_bytes(features.rows(), cols)});
}

/// Returns the significant bits of the stored values: 11 for float16, 24 for float32.
long bits_of(const Spread& spread) { return std::lround(-std::log2(spread.rounding)); }

/// Warns if the rows are so far from the origin, compared with their distances, that rounding has
/// lost most of what tells them apart.
void warn_of_rounding(const Spread& spread) {
  constexpr double share = 0.01;
  const double lost = spread.rounding * spread.rounding * spread.square;
  if (spread.variance == 0 || lost < share * spread.variance) return;
  log_warning(
      "the embedding's rows are {:.3g} from the origin but only {:.3g} apart: rounding to {} bits "
      "has "
      "lost much of what tells them apart; subtract the mean of all rows before you write them",
      std::sqrt(spread.square), std::sqrt(spread.variance), bits_of(spread));
}

int64_t memory_limit(const PartitionConfig& config) {
  return config.memory_limit.empty() ? machine_memory() / 2
                                     : parse_bytes(config.memory_limit, "partition.memory");
}

/// Returns what is subtracted from features before they are compared, because float32 tells points
/// apart only near the origin; with PCA, the projection. The `random` control needs none. A resumed
/// fit has it already; its warnings are repeated.
std::optional<Pca> origin_of(const RowSource& features, const PartitionConfig& config,
                             uint64_t seed, const PartitionRun& run) {
  PointStream rows(features, *run.backend);
  const Spread spread = spread_of(rows, Random(seed, RandomUse::kmeans, 5));
  warn_of_rounding(spread);
  if (config.pca > 0) {
    const int64_t asked = std::min<int64_t>(config.pca, features.cols());
    const bool known = run.resume != nullptr && run.resume->pca;
    Pca pca = known ? *run.resume->pca : fit_pca(rows, asked, config.whiten, spread.rounding);
    if (pca.outputs() < asked) {
      log_warning(
          "partition.pca: kept {} dimensions of the {} asked for; the others vary by no more than "
          "rounding to {} bits",
          pca.outputs(), asked, bits_of(spread));
    }
    return pca;
  }
  if (run.resume != nullptr) return run.resume->pca;
  if (config.method == PartitionMethod::random) return std::nullopt;
  return centred_at(spread.centre);
}

Partition partition_checked(const RowSource& features, std::span<const int32_t> top_tags,
                            const PartitionConfig& config, uint64_t seed, const PartitionRun& run) {
  const int64_t spare =
      std::max<int64_t>(0, memory_limit(config) - needed_bytes(features, config, *run.backend));
  Partition partition;
  partition.config = config;
  partition.seed = seed;
  partition.gater.kind = config.method;
  partition.gater.experts = config.experts;
  partition.gater.seed = seed;
  partition.gater.inputs = features.cols();

  partition.gater.pca = origin_of(features, config, seed, run);
  PointStream::Options options{.keep_bytes = spare};
  std::optional<Pca> pca = partition.gater.pca;  // partition_by_control may reset the gater's
  if (pca) {
    const double kept = std::accumulate(pca->variance.begin(), pca->variance.end(), 0.0);
    partition.explained_variance = pca->total_variance > 0 ? kept / pca->total_variance : 1;
    options.pca = &*pca;
  }
  PointStream points(features, *run.backend, options);
  partition.dimensions = points.cols();
  switch (config.method) {
    case PartitionMethod::kmeans:
      partition_by_kmeans(features, points, spare, run, partition);
      break;
    case PartitionMethod::random:
      partition_by_control(points, random_parts(features.rows(), config.experts, seed), partition);
      break;
    case PartitionMethod::top_tag:
      partition_by_control(points, top_tag_parts(top_tags, config.experts), partition);
      break;
  }
  count_sizes(partition);
  return partition;
}

}  // namespace

void count_sizes(Partition& partition) {
  const auto experts = static_cast<size_t>(partition.gater.experts);
  partition.sizes.assign(experts, 0);
  for (const uint16_t part : partition.assignment) ++partition.sizes[part];
  partition.imbalance =
      static_cast<double>(*std::max_element(partition.sizes.begin(), partition.sizes.end())) *
      static_cast<double>(experts) / static_cast<double>(partition.assignment.size());
  const double tolerance = partition.config.tolerance;
  partition.balanced = tolerance == 0 || sizes_within(partition.sizes, tolerance);
}

void check_partition(const RowSource& features, std::span<const int32_t> top_tags,
                     const PartitionConfig& config, const ClusterBackend& backend) {
  check_partition_config(config);
  const int64_t centroids = std::max(config.experts, config.fine);
  if (features.rows() < centroids) {
    fail_usage("partition.{}: {} images cannot be divided among {} {}; ask for at most {}",
               config.fine > 0 ? "fine" : "experts", features.rows(), centroids,
               config.fine > 0 ? "centroids" : "experts", features.rows());
  }
  if (features.cols() < 1)
    fail_usage("the embedding's rows hold no values; give an embedding of at least 1 dimension");
  if (config.pca > 0 && features.rows() < 2) {
    fail_usage("partition.pca: PCA needs at least 2 images; set it to 0");
  }
  if (config.method == PartitionMethod::top_tag &&
      static_cast<int64_t>(top_tags.size()) != features.rows()) {
    fail_usage(
        "partition by top-tag: found tags of {} images but features of {}; give both of one split",
        top_tags.size(), features.rows());
  }
  constexpr int64_t mebi = int64_t{1} << 20;
  const int64_t needed = (needed_bytes(features, config, backend) + mebi - 1) / mebi;
  if (memory_limit(config) < needed * mebi) {
    fail_usage(
        "partition.memory: {} × {} values around {} centroids take at least {}M, found {}; "
        "fewer experts, fewer --fine centroids or a smaller --pca take less",
        features.rows(), features.cols(), centroids, needed,
        config.memory_limit.empty() ? "half of the machine's memory to be less"
                                    : config.memory_limit);
  }
}

Partition partition_images(const RowSource& features, std::span<const int32_t> top_tags,
                           const PartitionConfig& config, uint64_t seed, const PartitionRun& run) {
  check_partition(features, top_tags, config, *run.backend);
  return partition_checked(features, top_tags, config, seed, run);
}

Partition partition_images(MatrixView features, std::span<const int32_t> top_tags,
                           const PartitionConfig& config, uint64_t seed, const PartitionRun& run) {
  const MatrixSource source(features);
  check_partition(source, top_tags, config, *run.backend);
  const float most = most_magnitude(std::max<int64_t>(1, features.cols));
  if (const int64_t row = first_row_beyond(features, most); row >= 0) {
    const float* values = features.row(row);
    fail("the feature of image {} {}", row,
         range_problem(std::vector<double>(values, values + features.cols)));
  }
  return partition_checked(source, top_tags, config, seed, run);
}

std::vector<int32_t> most_frequent_tags(const Split& split) {
  split.require_index();
  std::vector<int32_t> tags(static_cast<size_t>(split.size()), -1);
  for (size_t i = 0; i < tags.size(); ++i) {
    const auto of_image = split.tags(static_cast<int64_t>(i));
    if (!of_image.empty()) tags[i] = of_image.front();
  }
  return tags;
}

}  // namespace hardmoe
