// Lloyd's k-means (Lloyd 1982) with a k-means++ start (Arthur & Vassilvitskii 2007), and optionally
// with prices that keep the parts equal (balance.h). Exact: every iteration answers for every point
// and every centroid. Plain fits end where no point moves any more, balanced ones where inertia
// falls by less than 0.2 % from one iteration to the next. Points are streamed, so they may be more
// than memory holds. Not for more than 65,535 clusters.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cluster/point_stream.h"

namespace hardmoe {

enum class KMeansStart {
  automatic,  ///< plus_plus up to 4,096 clusters, random beyond
  plus_plus,  ///< greedy k-means++ on a sample
  random,     ///< different points by chance
};

struct KMeansParams {
  int64_t clusters = 8;  ///< K
  int iterations = 25;   ///< at most; fewer where they would change little
  uint64_t seed = 1;     ///< of the start and of re-seeding
  double tolerance = 0;  ///< 0: plain k-means; else parts within (1 ± tolerance)·N/K
  /// Points that set the prices between iterations, or 16 a cluster. Where there are more, a
  /// balanced fit begins with one of these alone.
  int64_t price_sample = 65536;
  int64_t start_sample = 16384;  ///< points k-means++ draws from, or 16 a cluster
  KMeansStart start_rule = KMeansStart::automatic;
  const Tensor* start = nullptr;  ///< centroids to begin from, K×D float32; null: by start_rule
  int64_t fixed = 0;              ///< the last of these that stay where they are
};

/// One pass over all points, under the centroids it began with.
struct KMeansIteration {
  double inertia = 0;  ///< Σ ‖z − c‖² over points, c each point's centroid; prices not counted
  int64_t smallest = 0;  ///< points of the smallest part
  int64_t largest = 0;   ///< and of the largest
  int64_t moved = 0;     ///< points whose part changed; all of them in the first iteration
  int64_t reseeded = 0;  ///< empty parts given half of a large one
  double seconds = 0;    ///< since the start, or since it was resumed
};

/// Where the fit stands after some iterations: enough to go on from.
struct KMeansState {
  std::vector<KMeansIteration> iterations;
  Tensor centroids;           ///< K×D float32
  std::vector<float> prices;  ///< K
  /// The rule that the last iteration assigned by, from which its assignment can be made again.
  Tensor last_centroids;
  std::vector<float> last_prices;
  /// Of a balanced fit, the rule of the iteration whose parts were nearest to equal, and by how
  /// many points one of them was off at most.
  Tensor best_centroids;
  std::vector<float> best_prices;
  int64_t best_off = INT64_MAX;
};

/// A state and what the passes before it left, which makes the next one faster.
struct KMeansFit {
  KMeansState state;
  std::vector<uint16_t> assignment;    ///< N, by the last rule
  std::unique_ptr<PassMemory> memory;  ///< or null
};

struct KMeansResult {
  Tensor centroids;                  ///< K×D float32
  std::vector<float> prices;         ///< K; zeros for plain k-means
  std::vector<uint16_t> assignment;  ///< N: argmin ‖z − c‖² + p_c under these centroids and prices
  std::vector<int64_t> sizes;        ///< K (or the parts), of that assignment
  double inertia = 0;                ///< of that assignment
  bool balanced = true;              ///< sizes are within the tolerance; true for plain k-means
  std::vector<KMeansIteration> iterations;
};

/// Centroids and prices of `points` (N×D, finite). They depend on the seed and not on the number of
/// threads, on which blocks are kept, or on where the fit was interrupted; another backend differs
/// by float32 rounding. `observe` is called after each iteration, and may throw to stop; `resume`
/// goes on from a state it saw. Throws Error(usage) for N < K, K outside 1 … 65,535, or starting
/// centroids of another shape.
KMeansFit fit_centroids(PointStream& points, const KMeansParams& params,
                        const std::function<void(const KMeansState&)>& observe = {},
                        const KMeansState* resume = nullptr);

/// The assignment by fitted centroids, their prices fitted to all points first (and before that to
/// many of them) where a tolerance is asked for; where that is not met, by those of the iteration
/// whose parts were nearest to equal, if it comes nearer. `part_of` and `parts` as in PriceParams:
/// it is the parts that are made equal then.
KMeansResult assign_parts(PointStream& points, KMeansFit fit, const KMeansParams& params,
                          std::span<const uint16_t> part_of = {}, int64_t parts = 0);

/// Both.
KMeansResult kmeans(PointStream& points, const KMeansParams& params,
                    const std::function<void(const KMeansState&)>& observe = {},
                    const KMeansState* resume = nullptr);
/// Points in memory.
KMeansResult kmeans(MatrixView points, const KMeansParams& params,
                    const std::function<void(const KMeansState&)>& observe = {},
                    ClusterBackend& backend = cpu_cluster_backend());

/// Bytes the fit needs at most besides the stream's own, its blocks' rows being `block_rows`.
int64_t kmeans_bytes(int64_t rows, int64_t cols, int64_t block_rows, const KMeansParams& params);

/// K different points to begin from, by params.start_rule: K×D float32. k-means++ takes the best of
/// 2 + ln K draws each.
Tensor starting_centroids(const PointStream& points, const KMeansParams& params);

/// One pass: gives each point its part under `rule`, in place. `memory`: of passes before, or null.
PassTotals assign_all(PointStream& points, const PricedCentroids& rule,
                      std::span<uint16_t> assignment, PassMemory* memory = nullptr);

}  // namespace hardmoe
