#include "moe/partition_kmeans.h"

#include <algorithm>
#include <numeric>

#include "base/log.h"
#include "base/signals.h"
#include "cluster/fill_parts.h"
#include "cluster/lone_parts.h"
#include "cluster/price_search.h"

namespace hardmoe {
namespace {

/// Returns the tolerance for fine centroids' parts. They need not be equal, because experts' prices
/// make the experts equal, but none may be too large to be grouped.
double fine_tolerance(const PartitionConfig& config) { return std::max(config.tolerance, 0.5); }

/// Returns the settings of k-means. `crowded`: more embeddings are equal than a fine part may hold.
KMeansParams kmeans_params(const PartitionConfig& config, uint64_t seed, bool crowded) {
  const bool two_level = config.fine > 0;
  // No prices would balance crowded parts, and the search for them would move all others.
  const bool plain = config.tolerance == 0 || (two_level && crowded);
  const double balanced = two_level ? fine_tolerance(config) : config.tolerance;
  const double tolerance = plain ? 0 : balanced;
  return {.clusters = two_level ? config.fine : config.experts,
          .iterations = config.iterations,
          .seed = seed,
          .tolerance = tolerance,
          .search = config.search};
}

/// Returns each fine centroid's expert: nearby centroids together, equally many for each expert.
/// Every expert gets one, even where centroids are equal.
std::vector<uint16_t> group_centroids(const Tensor& centroids, int64_t experts, uint64_t seed) {
  constexpr double tolerance = 0.05;
  KMeansResult found =
      kmeans(matrix_view(centroids),
             {.clusters = experts, .iterations = 50, .seed = seed, .tolerance = tolerance});
  for (size_t k = 0; k < found.sizes.size(); ++k) {
    if (found.sizes[k] > 0) continue;
    const auto most = std::ranges::max_element(found.sizes) - found.sizes.begin();
    *std::ranges::find(found.assignment, static_cast<uint16_t>(most)) = static_cast<uint16_t>(k);
    --found.sizes[static_cast<size_t>(most)];
    ++found.sizes[k];
  }
  return found.assignment;
}

/// A fit, with its centroids grouped into experts.
struct GroupedFit {
  KMeansResult result;
  std::vector<uint16_t> expert_of;  ///< empty: each centroid is one expert's
  std::vector<EqualPoints> equal;   ///< groups that have an expert each
};

/// Settings of one attempt. Attempts follow one another until experts are equal.
struct Attempt {
  int number;
  float nearness;  ///< radius within which embeddings count as equal
  bool anchors;    ///< fix centroids at groups of equal embeddings that fill much of a part
  uint64_t seed;   ///< added to the partition's seed
};

/// Returns starting centroids, the last ones at the groups of equal points.
Tensor start_at(const PointStream& points, KMeansParams params,
                const std::vector<EqualPoints>& groups) {
  Tensor start(DType::f32, {params.clusters, points.cols()});
  params.clusters -= std::ssize(groups);
  float* to = start.as<float>().data();
  if (params.clusters > 0) {
    const Tensor others = starting_centroids(points, params);
    to = std::copy_n(others.as<float>().data(), others.elements(), to);
  }
  for (const EqualPoints& group : groups) to = std::ranges::copy(group.point, to).out;
  return start;
}

/// Fits the experts. `anchors`: groups where centroids stay fixed. A part around equal points grows
/// smoothly as its price falls; a group between two parts would fall to one of them as a whole.
GroupedFit fit_experts(PointStream& points, int64_t experts,
                       const std::vector<EqualPoints>& anchors, bool crowded,
                       const Attempt& attempt, const PartitionRun& run,
                       const Partition& partition) {
  const PartitionConfig& config = partition.config;
  PartitionState state{
      .pca = partition.gater.pca, .points = points.rows(), .attempt = attempt.number, .kmeans = {}};
  const auto observe = [&](const KMeansState& now) {
    if (!run.observe) return;
    state.kmeans = now;
    run.observe(state);
  };
  KMeansParams params = kmeans_params(config, partition.seed + attempt.seed, crowded);
  if (config.fine == 0) params.clusters = experts;
  params.clusters = std::min(params.clusters, points.rows());
  const bool resumed = run.resume != nullptr && run.resume->attempt == attempt.number;
  Tensor start;
  if (!anchors.empty() && std::ssize(anchors) <= params.clusters) {
    start = start_at(points, params, anchors);
    params.start = &start;
    params.fixed = std::ssize(anchors);
  }
  KMeansFit fitted =
      fit_centroids(points, params, observe, resumed ? &run.resume->kmeans : nullptr);
  GroupedFit found;
  if (config.fine > 0) {
    found.expert_of = group_centroids(fitted.state.centroids, experts, partition.seed);
  }
  params.tolerance = config.tolerance;  // that of experts, also with fine centroids
  found.result = assign_parts(points, std::move(fitted), params, found.expert_of, experts);
  return found;
}

/// Returns whether more embeddings are equal than a fine centroid's part may hold.
bool is_crowded(const RowSource& features, const Pca* pca, ClusterBackend& backend,
                const PartitionConfig& config, const EqualParams& experts) {
  if (config.fine == 0) return false;
  EqualParams params = experts;
  params.parts = config.fine;
  params.tolerance = fine_tolerance(config);
  RowSet found(features.rows());
  return !take_equal_points(features, pca, backend, params, found).taken.empty();
}

/// Makes one attempt, with an expert for each group of equal embeddings that is too large for a
/// part. Returns an empty fit if the attempt would do nothing that earlier ones did not.
GroupedFit fit_attempt(const RowSource& features, PointStream& points, int64_t spare,
                       const Attempt& attempt, const PartitionRun& run,
                       const Partition& partition) {
  const PartitionConfig& config = partition.config;
  const Pca* pca = partition.gater.pca ? &*partition.gater.pca : nullptr;
  RowSet taken(points.rows());
  EqualGroups groups;
  bool crowded = false;
  if (config.tolerance > 0) {
    const EqualParams params = {.parts = config.experts,
                                .tolerance = config.tolerance,
                                .seed = partition.seed,
                                .nearness = attempt.nearness};
    groups = take_equal_points(features, pca, points.backend(), params, taken);
    crowded = is_crowded(features, pca, points.backend(), config, params);
  }
  if (!attempt.anchors) groups.left.clear();
  if (groups.taken.empty()) {
    if (attempt.anchors && attempt.seed == 0 && groups.left.empty()) return {};
    return fit_experts(points, config.experts, groups.left, crowded, attempt, run, partition);
  }
  log_info(
      "{} groups of equal embeddings, {} images in all, get an expert each; {} images are fitted",
      groups.taken.size(), points.rows() - taken.left(), taken.left());
  GroupedFit found;
  const auto experts = std::min<int64_t>(config.experts - std::ssize(groups.taken), taken.left());
  if (taken.left() > 0) {
    points.release();
    const RemainingRows rest(features, taken);
    PointStream remaining(rest, points.backend(), {.pca = pca, .keep_bytes = spare});
    found = fit_experts(remaining, experts, groups.left, crowded, attempt, run, partition);
  }
  std::vector<uint16_t>& expert_of = found.expert_of;
  found.result = add_equal_points(points, features, pca, std::move(found.result), groups.taken,
                                  {config.tolerance, expert_of, config.experts});
  for (int64_t k = experts; !expert_of.empty() && k < config.experts; ++k) {
    expert_of.push_back(static_cast<uint16_t>(k));
  }
  found.equal = std::move(groups.taken);
  return found;
}

/// Returns the number of empty experts, and the excess images of the others. The largest parts,
/// which groups of equal embeddings have, are left out.
std::pair<int64_t, int64_t> unevenness(const GroupedFit& fit, double tolerance) {
  std::vector<int64_t> sizes = fit.result.sizes;
  std::sort(sizes.begin(), sizes.end());
  sizes.resize(sizes.size() - fit.equal.size());
  const int64_t sum = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  if (sum == 0) return {0, 0};
  const SizeRange range(static_cast<double>(sum) / static_cast<double>(sizes.size()), tolerance);
  return {std::count(sizes.begin(), sizes.end(), int64_t{0}), range.excess(sizes)};
}

GroupedFit fit_best(const RowSource& features, PointStream& points, int64_t spare,
                    const PartitionRun& run, const Partition& partition) {
  // Prices separate nearly equal points only by steps so small that they are hardly found.
  constexpr Attempt attempts[] = {{0, 4e-6F, false, 0}, {1, 4e-6F, true, 0}, {2, 1e-4F, true, 0},
                                  {3, 1e-3F, true, 0},  {4, 1e-2F, true, 0}, {5, 4e-6F, true, 1}};
  const double tolerance = partition.config.tolerance;
  GroupedFit best;
  for (const Attempt& attempt : attempts) {
    throw_if_interrupted();
    GroupedFit found = fit_attempt(features, points, spare, attempt, run, partition);
    if (found.result.sizes.empty()) continue;
    if (best.result.sizes.empty() || unevenness(found, tolerance) < unevenness(best, tolerance)) {
      best = std::move(found);
    }
    if (tolerance == 0 || unevenness(best, tolerance) == std::pair<int64_t, int64_t>()) break;
  }
  return best;
}

}  // namespace

void partition_by_kmeans(const RowSource& features, PointStream& points, int64_t spare,
                         const PartitionRun& run, Partition& partition) {
  const PartitionConfig& config = partition.config;
  GroupedFit found = fit_best(features, points, spare, run, partition);
  for (const EqualPoints& group : found.equal) partition.equal_rows.push_back(group.count);
  std::sort(partition.equal_rows.rbegin(), partition.equal_rows.rend());
  fill_empty_parts(points, {config.tolerance, found.expert_of, config.experts}, found.result);
  KMeansResult& result = found.result;
  for (uint16_t& part : result.assignment) {
    if (!found.expert_of.empty()) part = found.expert_of[part];
  }
  partition.gater.expert_of = std::move(found.expert_of);
  partition.assignment = std::move(result.assignment);
  partition.inertia = result.inertia;
  partition.agreement = result.agreement;
  partition.iterations = std::move(result.iterations);
  partition.gater.centroids = std::move(result.centroids);
  partition.gater.prices = std::move(result.prices);
}

int64_t kmeans_partition_bytes(int64_t rows, int64_t dimensions, int64_t block_rows,
                               const PartitionConfig& config) {
  const int64_t fit = kmeans_bytes(rows, dimensions, block_rows, kmeans_params(config, 0, false));
  if (config.tolerance == 0) return fit;
  return std::max(fit,
                  equal_points_bytes(rows, dimensions, std::max(config.experts, config.fine))) +
         (config.fine > 0 ? 2 : 1) * RowSet::bytes(rows);
}

}  // namespace hardmoe
