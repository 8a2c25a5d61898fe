#include "moe/partition_kmeans.h"

#include <algorithm>

#include "base/log.h"
#include "cluster/lone_parts.h"

namespace hardmoe {
namespace {

KMeansParams kmeans_params(const PartitionConfig& config, uint64_t seed) {
  const bool two_level = config.fine > 0;
  // Fine parts need not be equal, as their experts' prices make the experts equal; but none should
  // be too large to be grouped.
  constexpr double fine_tolerance = 0.5;
  const double tolerance = two_level && config.tolerance > 0
                               ? std::max(config.tolerance, fine_tolerance)
                               : config.tolerance;
  return {.clusters = two_level ? config.fine : config.experts,
          .iterations = config.iterations,
          .seed = seed,
          .tolerance = tolerance};
}

/// The expert of each fine centroid: near ones together, each expert as many.
std::vector<uint16_t> group_centroids(const Tensor& centroids, int64_t experts, uint64_t seed) {
  constexpr double tolerance = 0.05;
  return kmeans(matrix_view(centroids),
                {.clusters = experts, .iterations = 50, .seed = seed, .tolerance = tolerance})
      .assignment;
}

/// A fit of points, its centroids grouped into so many experts.
struct GroupedFit {
  KMeansResult result;
  std::vector<uint16_t> expert_of;  ///< empty: each centroid is an expert's own
};

GroupedFit fit_experts(PointStream& points, int64_t experts, const PartitionRun& run,
                       const Partition& partition) {
  const PartitionConfig& config = partition.config;
  PartitionState state{.pca = partition.gater.pca, .points = points.rows(), .kmeans = {}};
  const auto observe = [&](const KMeansState& now) {
    if (!run.observe) return;
    state.kmeans = now;
    run.observe(state);
  };
  KMeansParams params = kmeans_params(config, partition.seed);
  if (config.fine == 0) params.clusters = experts;
  params.clusters = std::min(params.clusters, points.rows());
  KMeansFit fitted =
      fit_centroids(points, params, observe, run.resume != nullptr ? &run.resume->kmeans : nullptr);
  GroupedFit found;
  if (config.fine > 0) {
    found.expert_of = group_centroids(fitted.state.centroids, experts, partition.seed);
  }
  params.tolerance = config.tolerance;  // the experts', also where centroids are many
  found.result = assign_parts(points, std::move(fitted), params, found.expert_of, experts);
  return found;
}

/// With experts of their own for equal embeddings where these are too many for one among others.
GroupedFit fit_with_equal_points(const RowSource& features, PointStream& points, int64_t spare,
                                 const PartitionRun& run, Partition& partition) {
  const PartitionConfig& config = partition.config;
  const Pca* pca = partition.gater.pca ? &*partition.gater.pca : nullptr;
  RowSet taken(points.rows());
  std::vector<EqualPoints> groups;
  if (config.tolerance > 0) {
    groups = take_equal_points(features, pca, points.backend(), config.experts, config.tolerance,
                               partition.seed, taken);
  }
  if (groups.empty()) return fit_experts(points, config.experts, run, partition);
  for (const EqualPoints& group : groups) partition.equal_rows.push_back(group.count);
  std::sort(partition.equal_rows.rbegin(), partition.equal_rows.rend());
  log_info("{} groups of equal embeddings have an expert each; the fit is of the other {} images",
           groups.size(), taken.left());
  GroupedFit found;
  const int64_t experts = std::min<int64_t>(config.experts - std::ssize(groups), taken.left());
  if (taken.left() > 0) {
    const RemainingRows rest(features, taken);
    PointStream remaining(rest, points.backend(), {.pca = pca, .keep_bytes = spare});
    found = fit_experts(remaining, experts, run, partition);
  }
  std::vector<uint16_t>& expert_of = found.expert_of;
  found.result = add_equal_points(points, features, pca, std::move(found.result), groups,
                                  {config.tolerance, expert_of, config.experts});
  for (int64_t k = experts; !expert_of.empty() && k < config.experts; ++k) {
    expert_of.push_back(static_cast<uint16_t>(k));
  }
  return found;
}

}  // namespace

void partition_by_kmeans(const RowSource& features, PointStream& points, int64_t spare,
                         const PartitionRun& run, Partition& partition) {
  const PartitionConfig& config = partition.config;
  GroupedFit found = fit_with_equal_points(features, points, spare, run, partition);
  fill_empty_parts(points, {config.tolerance, found.expert_of, config.experts}, found.result);
  KMeansResult& result = found.result;
  for (uint16_t& part : result.assignment) {
    if (!found.expert_of.empty()) part = found.expert_of[part];
  }
  partition.gater.expert_of = std::move(found.expert_of);
  partition.assignment = std::move(result.assignment);
  partition.inertia = result.inertia;
  partition.iterations = std::move(result.iterations);
  partition.gater.centroids = std::move(result.centroids);
  partition.gater.prices = std::move(result.prices);
}

int64_t kmeans_partition_bytes(int64_t rows, int64_t dimensions, int64_t block_rows,
                               const PartitionConfig& config) {
  const int64_t fit = kmeans_bytes(rows, dimensions, block_rows, kmeans_params(config, 0));
  if (config.tolerance == 0) return fit;
  return std::max(fit, equal_points_bytes(rows, dimensions, config.experts)) + RowSet::bytes(rows);
}

}  // namespace hardmoe
