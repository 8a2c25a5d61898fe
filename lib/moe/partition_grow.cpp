#include "moe/partition_grow.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "base/stage.h"
#include "base/threads.h"
#include "cluster/kernels.h"

namespace hardmoe {
namespace {

constexpr int64_t sample_points = 131072;

void check(const RowSource& features, const Partition& partition) {
  const Gater& gater = partition.gater;
  if (gater.kind != PartitionMethod::kmeans) {
    fail_usage("an expert can be added only to a partition by kmeans, found one by {}",
               partition_method_name(gater.kind));
  }
  if (features.rows() != static_cast<int64_t>(partition.assignment.size()) ||
      features.cols() != gater.inputs) {
    fail_usage(
        "the partition was made of {} × {} values, but the embedding has {} × {}; give the "
        "embedding "
        "it was made of",
        partition.assignment.size(), gater.inputs, features.rows(), features.cols());
  }
  if (gater.experts >= 65535 || gater.prices.size() >= 65535) {
    fail_usage("there are 65,535 experts or centroids already");
  }
}

PointStream stream_of(const RowSource& features, const Gater& gater, const PartitionRun& run) {
  return {features, *run.backend, {.pca = gater.pca ? &*gater.pca : nullptr}};
}

float distance(const float* a, const float* b, int64_t depth) {
  return supported_kernels()[0].squared_distance(a, b, depth);
}

/// Calls body(point, row) for all points, in parallel.
template <class Body>
void for_each_point(PointStream& points, const Body& body) {
  constexpr int64_t grain = 1024;
  points.for_each([&](const Points& block, int64_t first) {
    parallel_for(block.view().rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(block.view().row(i), first + i);
    });
    return true;
  });
}

/// Returns a threshold that about `count` of the values exceed; reorders `values`.
float threshold_of(std::vector<float>& values, int64_t count) {
  if (count >= static_cast<int64_t>(values.size())) {
    return *std::min_element(values.begin(), values.end());
  }
  const auto at = values.end() - count - 1;  // with `count` above it
  std::nth_element(values.begin(), at, values.end());
  const float below = *at;
  const float above = *std::min_element(at + 1, values.end());
  return below + (above - below) / 2;
}

/// Sets the partition's inertia, sizes and number of experts from its gater and assignment.
void recount(PointStream& points, Partition& partition) {
  const Gater& gater = partition.gater;
  double inertia = 0;
  points.for_each([&](const Points& block, int64_t first) {
    const MatrixView rows = block.view();
    std::vector<float> found(static_cast<size_t>(rows.rows));
    parallel_for(rows.rows, 256, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        found[static_cast<size_t>(i)] =
            gater.distance_to(rows.row(i), partition.assignment[static_cast<size_t>(first + i)]);
      }
    });
    inertia = std::accumulate(found.begin(), found.end(), inertia);
    return true;
  });
  partition.inertia = inertia;
  partition.rerouting.reset();  // told of the partition it was
  partition.config.experts = static_cast<int>(gater.experts);
  count_sizes(partition);
}

/// Checks the new expert's size: equal embeddings go to it together or not at all.
void check_new_part(int64_t found, int64_t other, double aimed, double tolerance) {
  if (found == 0 || other == 0) {
    fail_usage(
        "one of the experts would be left without images, because too many embeddings are equal");
  }
  const double off = std::abs(static_cast<double>(found) - aimed);
  if (off <= std::max(1.0, std::max(tolerance, 0.05) * aimed)) return;
  log_warning(
      "the new expert has {} images instead of about {:.0f}, because many embeddings are equal",
      found, aimed);
}

/// Sampled points, with their scores and experts.
struct GrowSample {
  MatrixView rows;
  std::vector<float> scores;
  std::vector<uint16_t> experts;
  std::vector<int64_t> sizes;  ///< of the experts
};

/// Returns by how much a centroid would change each point's score, ascending, with the point's row.
std::vector<std::pair<float, int64_t>> sorted_losses(const GrowSample& sample,
                                                     const std::vector<float>& centroid) {
  std::vector<std::pair<float, int64_t>> losses(sample.scores.size());
  parallel_for(sample.rows.rows, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto row = static_cast<size_t>(i);
      losses[row] = {
          distance(sample.rows.row(i), centroid.data(), sample.rows.cols) - sample.scores[row], i};
    }
  });
  std::sort(losses.begin(), losses.end());
  return losses;
}

/// Returns the mean of the `taken` points with the least losses, where no expert gives up more than
/// half of its points.
std::vector<float> mean_of_taken(const GrowSample& sample,
                                 std::span<const std::pair<float, int64_t>> losses, int64_t taken) {
  std::vector<int64_t> given(sample.sizes.size());
  std::vector<int64_t> rows;
  for (size_t i = 0; i < losses.size() && std::ssize(rows) < taken; ++i) {
    const size_t expert = sample.experts[static_cast<size_t>(losses[i].second)];
    if (2 * given[expert] > sample.sizes[expert]) continue;
    ++given[expert];
    rows.push_back(losses[i].second);
  }
  std::sort(rows.begin(), rows.end());
  std::vector<double> sum(static_cast<size_t>(sample.rows.cols));
  for (const int64_t row : rows) {
    add_to_sums(sample.rows.row(row), sample.rows.cols, sum.data());
  }
  std::vector<float> mean;
  for (const double value : sum) {
    mean.push_back(static_cast<float>(value / static_cast<double>(rows.size())));
  }
  return mean;
}

/// Finds a centroid for a share 1/(K+1) of the sample that lowers their scores most. Each of
/// several starts begins at a point far from its own centroid and moves to the mean of the points
/// that gain most, again and again. Starts that leave every expert half of its target size are
/// preferred.
std::vector<float> find_centroid(const GrowSample& sample, int64_t taken, Random random) {
  constexpr int starts = 16, rounds = 12;
  std::vector<float> best;
  std::pair<double, double> most = {-INFINITY, -INFINITY};  // smallest expert's share, gain
  const double total = std::accumulate(sample.scores.begin(), sample.scores.end(), 0.0);
  for (int start = 0; start < starts; ++start) {
    double left = random.uniform_double() * total;
    int64_t chosen = 0;
    while (chosen + 1 < sample.rows.rows &&
           (left -= double{sample.scores[static_cast<size_t>(chosen)]}) >= 0) {
      ++chosen;
    }
    const float* row = sample.rows.row(chosen);
    std::vector<float> centroid(row, row + sample.rows.cols);
    for (int round = 0; round < rounds; ++round) {
      centroid = mean_of_taken(sample, sorted_losses(sample, centroid), taken);
    }
    double gain = 0;
    std::vector<int64_t> rest = sample.sizes;
    const auto losses = sorted_losses(sample, centroid);
    for (const auto& [loss, i] : std::span(losses).first(static_cast<size_t>(taken))) {
      gain -= double{loss};
      --rest[sample.experts[static_cast<size_t>(i)]];
    }
    const double kept = static_cast<double>(*std::min_element(rest.begin(), rest.end())) /
                        static_cast<double>(taken);
    constexpr double enough = 0.5;
    const std::pair<double, double> worth = {std::min(kept, enough), gain};
    if (worth > most) {
      most = worth;
      best = centroid;
    }
  }
  return best;
}

}  // namespace

Partition add_expert(const RowSource& features, Partition partition, uint64_t seed,
                     const PartitionRun& run) {
  check(features, partition);
  Gater& gater = partition.gater;
  PointStream points = stream_of(features, gater, run);
  const int64_t depth = points.cols(), images = points.rows();
  // Find each image's centroid; an expert may have several.
  std::vector<uint16_t> own(static_cast<size_t>(images));
  const PricedCentroids rule{matrix_view(gater.centroids), gater.prices};
  assign_all(points, rule, own);
  const auto own_score = [&](const float* point, uint16_t c) {
    return distance(point, rule.centroids.row(c), depth) + rule.prices[c];
  };

  std::vector<float> centroid;
  {
    const Tensor sample =
        points.sample(sample_points, Random(seed, RandomUse::partition, uint64_t{1} << 40));
    std::vector<uint16_t> part(static_cast<size_t>(sample.size(0)));
    const MatrixSource source(matrix_view(sample));
    PointStream sampled(source, *run.backend);
    assign_all(sampled, rule, part);
    GrowSample grown{.rows = matrix_view(sample),
                     .scores = std::vector<float>(part.size()),
                     .experts = part,
                     .sizes = std::vector<int64_t>(static_cast<size_t>(gater.experts))};
    for (size_t i = 0; i < part.size(); ++i) {
      grown.scores[i] = own_score(grown.rows.row(static_cast<int64_t>(i)), part[i]);
      if (!gater.expert_of.empty()) grown.experts[i] = gater.expert_of[part[i]];
      ++grown.sizes[grown.experts[i]];
    }
    centroid = find_centroid(grown, std::max<int64_t>(1, sample.size(0) / (gater.experts + 1)),
                             Random(seed, RandomUse::partition, (uint64_t{1} << 40) + 1));
  }
  std::vector<float> gains(static_cast<size_t>(images));
  for_each_point(points, [&](const float* point, int64_t i) {
    const auto image = static_cast<size_t>(i);
    gains[image] = own_score(point, own[image]) - distance(point, centroid.data(), depth);
  });
  const float price = threshold_of(gains, std::max<int64_t>(1, images / (gater.experts + 1)));
  gains = {};

  const int64_t count = gater.centroids.size(0);
  Tensor centroids(DType::f32, {count + 1, depth});
  const auto values = centroids.as<float>();
  const auto before = gater.centroids.as<float>();
  std::copy(before.begin(), before.end(), values.begin());
  std::copy(centroid.begin(), centroid.end(), values.begin() + count * depth);
  if (gater.expert_of.empty()) {
    gater.expert_of.resize(static_cast<size_t>(count));
    std::iota(gater.expert_of.begin(), gater.expert_of.end(), uint16_t{0});
  }
  gater.expert_of.push_back(static_cast<uint16_t>(gater.experts));
  gater.centroids = centroids;
  gater.prices.push_back(price);
  assign_all(points, {matrix_view(gater.centroids), gater.prices}, own);
  for (size_t i = 0; i < own.size(); ++i) {
    if (own[i] == count) partition.assignment[i] = static_cast<uint16_t>(gater.experts);
  }
  ++gater.experts;
  recount(points, partition);
  check_new_part(partition.sizes.back(), images,
                 static_cast<double>(images) / static_cast<double>(gater.experts),
                 partition.config.tolerance);
  return partition;
}

Partition halve_largest_expert(const RowSource& features, Partition partition, uint64_t seed,
                               const PartitionRun& run) {
  check(features, partition);
  Gater& gater = partition.gater;
  PointStream points = stream_of(features, gater, run);
  const auto largest = std::max_element(partition.sizes.begin(), partition.sizes.end());
  const auto parent = static_cast<uint16_t>(largest - partition.sizes.begin());
  if (*largest < 2) fail_usage("the largest expert has {} image and cannot be halved", *largest);

  std::vector<int64_t> chosen;  // its images, by selection sampling as in PointStream::sample
  Random random(seed, RandomUse::partition, uint64_t{1} << 41);
  auto left = static_cast<uint64_t>(*largest);
  const auto wanted = static_cast<uint64_t>(std::min(sample_points, *largest));
  for (size_t i = 0; i < partition.assignment.size() && chosen.size() < wanted; ++i) {
    if (partition.assignment[i] != parent) continue;
    if (random.below(left--) < wanted - chosen.size()) chosen.push_back(static_cast<int64_t>(i));
  }
  const Tensor sample = points.rows_at(chosen);
  const KMeansResult halves =
      kmeans(matrix_view(sample), {.clusters = 2, .seed = seed, .tolerance = 0.05});
  const MatrixView pair = matrix_view(halves.centroids);

  std::vector<float> gains(partition.assignment.size());
  for_each_point(points, [&](const float* point, int64_t i) {
    const auto image = static_cast<size_t>(i);
    if (partition.assignment[image] != parent) return;
    gains[image] =
        distance(point, pair.row(0), pair.cols) - distance(point, pair.row(1), pair.cols);
  });
  size_t members = 0;
  for (size_t i = 0; i < gains.size(); ++i) {
    if (partition.assignment[i] == parent) gains[members++] = gains[i];
  }
  gains.resize(members);
  const float price = threshold_of(gains, *largest / 2);
  gains = {};

  gater.halvings.push_back({.parent = parent,
                            .child = static_cast<uint16_t>(gater.experts),
                            .centroids = halves.centroids,
                            .prices = {-price / 2, price / 2}});
  const ExpertHalving& halving = gater.halvings.back();
  for_each_point(points, [&](const float* point, int64_t i) {
    uint16_t& expert = partition.assignment[static_cast<size_t>(i)];
    if (expert == parent) expert = halving.choose(point, true);
  });
  ++gater.experts;
  recount(points, partition);
  check_new_part(partition.sizes.back(), partition.sizes[parent], static_cast<double>(members) / 2,
                 partition.config.tolerance);
  return partition;
}

Partition grow_partition(const RowSource& features, const std::filesystem::path& base,
                         Growth growth, uint64_t seed, const PartitionRun& run) {
  return growth == Growth::halve ? halve_largest_expert(features, load_partition(base), seed, run)
                                 : add_expert(features, load_partition(base), seed, run);
}

void check_grows_from(const std::filesystem::path& base, const std::string& embedding) {
  const Json was = stage_inputs(base, "moe-partition");
  if (json_get<std::string>(was, "embedding", base.string()) == embedding) return;
  fail_usage("{}: this partition was made of another embedding; give the one it was made of",
             base.string());
}

}  // namespace hardmoe
