// Lloyd's k-means (Lloyd 1982) with a k-means++ start (Arthur & Vassilvitskii 2007), optionally
// with prices that keep the parts equal (balance.h). Exact: every iteration finds the best centroid
// of every point; but beyond 4,096 clusters the best of those in a few near groups. A plain fit ends
// when no point moves; one that begins near its end (balanced, or from a tree) when inertia falls by
// less than 0.2 % in an iteration. Points are streamed, so there may be more than memory holds. Not
// for more than 65,535 clusters.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cluster/point_stream.h"

namespace hardmoe {

/// How starting centroids are chosen.
enum class KMeansStart {
  automatic,  ///< plus_plus up to 31 clusters, tree beyond
  plus_plus,  ///< greedy k-means++ on a sample
  random,     ///< distinct points drawn at random
  tree,       ///< two levels of k-means on a sample (cluster/tree_start.h)
};

/// How a point's centroid is found.
enum class KMeansSearch {
  automatic,  ///< exact up to 4,096 clusters, near beyond
  exact,      ///< the nearest of all
  near,       ///< the nearest of those in a few near groups (cluster/centroid_tree.h)
};

/// Settings of a fit.
struct KMeansParams {
  int64_t clusters = 8;  ///< K
  int iterations = 25;   ///< maximum; fewer when the fit settles earlier
  uint64_t seed = 1;     ///< for the start and for re-seeding empty parts
  double tolerance = 0;  ///< 0: plain k-means; otherwise parts within (1 ± tolerance)·N/K
  /// Points used to set the prices between iterations, or 16 a cluster if that is more. If there
  /// are more points than that, a balanced fit first runs on these alone.
  int64_t price_sample = 65536;
  int64_t start_sample = 16384;  ///< points k-means++ draws from, or 8 a cluster if that is more
  int64_t tree_sample = 100;     ///< points a cluster that KMeansStart::tree looks at, or 65,536 if
                                 ///< that is more; no more than fit into 768 MiB
  /// A fit that begins near its end (balanced, or from a tree) ends when inertia falls by less than
  /// this in an iteration.
  double progress = 0.002;
  KMeansStart start_rule = KMeansStart::automatic;
  KMeansSearch search = KMeansSearch::automatic;
  const Tensor* start = nullptr;  ///< starting centroids, K×D float32; null: chosen by start_rule
  int64_t fixed = 0;              ///< the last this many of `start` do not move
};

/// One pass over all points, under the centroids it began with.
struct KMeansIteration {
  double inertia = 0;  ///< Σ ‖z − c‖² over points, c each point's centroid; prices not counted
  int64_t smallest = 0;  ///< points in the smallest part
  int64_t largest = 0;   ///< points in the largest part
  int64_t moved = 0;     ///< points whose part changed; all points in the first iteration
  int64_t reseeded = 0;  ///< empty parts that were given half of a large one
  double seconds = 0;    ///< since the fit started, or since it was resumed
};

/// A fit after some iterations: everything needed to resume it.
struct KMeansState {
  std::vector<KMeansIteration> iterations;
  Tensor centroids;           ///< K×D float32
  std::vector<float> prices;  ///< K
  /// The rule of the last iteration, from which its assignment can be computed again.
  Tensor last_centroids;
  std::vector<float> last_prices;
  /// For a balanced fit: the rule of the iteration with the most equal parts, and the largest
  /// deviation of a part's size from the mean there, in points.
  Tensor best_centroids;
  std::vector<float> best_prices;
  int64_t best_off = INT64_MAX;
};

/// A state, with the results of past passes that make the next pass faster.
struct KMeansFit {
  KMeansState state;
  std::vector<uint16_t> assignment;  ///< N, by the last rule
  std::unique_ptr<PassCache> cache;  ///< may be null
};

/// A finished fit.
struct KMeansResult {
  Tensor centroids;                  ///< K×D float32
  std::vector<float> prices;         ///< K; zeros for plain k-means
  std::vector<uint16_t> assignment;  ///< N: argmin ‖z − c‖² + p_c under these centroids and prices
  std::vector<int64_t> sizes;        ///< K, or one a part: points in each, by `assignment`
  double inertia = 0;                ///< Σ ‖z − c‖², by `assignment`
  bool balanced = true;              ///< sizes are within the tolerance; true for plain k-means
  /// The share of about 4,096 points that have the nearest of all centroids; 1 for an exact search.
  double agreement = 1;
  std::vector<KMeansIteration> iterations;
};

/// Fits centroids and prices to `points` (N×D, finite). The result depends on the seed, but not on
/// the number of threads, on which blocks are kept in memory, or on where the fit was interrupted;
/// another backend differs by float32 rounding. `observe` is called after each iteration and may
/// throw to stop. `resume` continues from a state that `observe` was given. Throws Error(usage) for
/// impossible settings: N < K, K outside 1 … 65,535, starting centroids of another shape, ….
KMeansFit fit_centroids(PointStream& points, const KMeansParams& params,
                        const std::function<void(const KMeansState&)>& observe = {},
                        const KMeansState* resume = nullptr);

/// Assigns all points by fitted centroids. With a tolerance, prices are first fitted to all points
/// (and before that to a large sample). If the tolerance is still not met, the best iteration's
/// rule is tried too, and the better result is returned. `part_of` and `parts` are as in
/// PriceParams: then the parts, not the centroids, are made equal.
KMeansResult assign_parts(PointStream& points, KMeansFit fit, const KMeansParams& params,
                          std::span<const uint16_t> part_of = {}, int64_t parts = 0);

/// Fits centroids, then assigns all points: fit_centroids and assign_parts.
KMeansResult kmeans(PointStream& points, const KMeansParams& params,
                    const std::function<void(const KMeansState&)>& observe = {},
                    const KMeansState* resume = nullptr);
/// The same for points in memory.
KMeansResult kmeans(MatrixView points, const KMeansParams& params,
                    const std::function<void(const KMeansState&)>& observe = {},
                    ClusterBackend& backend = cpu_cluster_backend());

/// Returns the most bytes the fit needs besides the stream's buffers, for blocks of `block_rows`.
int64_t kmeans_bytes(int64_t rows, int64_t cols, int64_t block_rows, const KMeansParams& params);

/// Returns whether params.start_rule is, or means, a tree.
bool starts_from_tree(const KMeansParams& params);

/// Returns how many points of so many values a tree looks at, where there are as many.
int64_t tree_points(int64_t cols, const KMeansParams& params);

/// Returns K points to start from, K×D float32, chosen by params.start_rule. Each step of k-means++
/// takes the best of 2 + ln K draws; it repeats a point only if fewer than K of its sample differ.
Tensor starting_centroids(const PointStream& points, const KMeansParams& params);

/// Returns whether the fit compares points with near centroids alone.
bool searches_near(const KMeansParams& params);

/// Runs one pass: assigns each point under `rule`, in place, and returns the totals. `cache`: kept
/// by earlier passes, or null. `near`: see KMeansSearch.
PassTotals assign_all(PointStream& points, PricedCentroids rule, std::span<uint16_t> assignment,
                      PassCache* cache = nullptr, bool near = false);

}  // namespace hardmoe
