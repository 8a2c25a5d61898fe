// The long loops of k-means and PCA, on the CPU or on one GPU. Each call takes one block of rows
// and adds its result to that of earlier blocks, so callers can stream a matrix larger than memory.
// Decisions (prices, centroids, eigenvectors, seeds) are made by the callers, so all backends agree
// within float32 rounding. Not for small matrices in a single call: see kmeans.h and pca.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cluster/matrix_view.h"

namespace hardmoe {

struct CentroidTree;
struct Pca;

/// A block of rows (N×D float32), loaded for one backend: a GPU's holds a copy in device memory as
/// far as it fits. Use it only with the backend that made it. The matrix it was made from must
/// outlive it.
class Points {
 public:
  explicit Points(MatrixView view) : view_(view) {}
  virtual ~Points() = default;
  Points(const Points&) = delete;
  Points& operator=(const Points&) = delete;
  /// Returns the rows in host memory.
  MatrixView view() const { return view_; }

 private:
  MatrixView view_;
};

/// The assignment rule argmin_c ‖z − c‖² + p_c; among equal scores the lower index wins.
struct PricedCentroids {
  MatrixView centroids;           ///< K×D
  std::span<const float> prices;  ///< K
  /// Not null: a pass may compare each point with the centroids of the nearest groups alone.
  const CentroidTree* tree = nullptr;
};

/// Sums over the points that passes have assigned so far. A centroid's part is the set of points
/// assigned to it.
struct PassTotals {
  std::vector<double> sums;    ///< K×D: the sum of each part's points
  std::vector<int64_t> sizes;  ///< K: the number of points in each part
  double inertia = 0;          ///< Σ ‖z − c‖², where c is the point's centroid
  int64_t moved = 0;           ///< points that were in another part before the pass
  double agreement = 1;        ///< of the rule's tree (CentroidTree::agreement)

  PassTotals(int64_t clusters, int64_t depth)
      : sums(static_cast<size_t>(clusters * depth)), sizes(static_cast<size_t>(clusters)) {}
};

/// Distances that a backend keeps from one pass over all points to the next, so that the next pass
/// compares each point with few centroids. Results are the same to the bit with or without it. Use
/// it only with the backend that made it, and only for complete passes over the same points.
class PassCache {
 public:
  virtual ~PassCache() = default;
};

/// One pass over all points that assigns each by a fixed rule, block by block.
class Pass {
 public:
  virtual ~Pass() = default;
  /// Assigns each point of the block to its centroid and adds the block to `totals`. `assignment`
  /// (N) is updated in place: it holds the previous pass's result (any value in the first pass).
  /// `first` is the block's first row, counted over all points.
  virtual void assign(const Points& points, int64_t first, std::span<uint16_t> assignment,
                      PassTotals& totals) = 0;
};

/// The range within which a price p may change: [p − down, p + up], one entry a centroid (K) or a
/// part.
struct PriceReach {
  std::vector<float> down, up;
};

/// The points that a change of prices within reach could still move, with their candidates. A
/// centroid c is a candidate of a point if its lowest score within reach, ‖z − c‖² + p_c − down_c,
/// is not above the smallest of all highest scores, ‖z − b‖² + p_b + up_b. Points with a single
/// candidate are only counted; for the others all candidates are kept.
class Boundary {
 public:
  virtual ~Boundary() = default;
  /// Adds to `sizes` (K) the number of points each centroid wins at `prices` (K).
  virtual void add_sizes(std::span<const float> prices, std::span<int64_t> sizes) const = 0;
  /// Returns the number of candidates kept, summed over all points.
  virtual int64_t candidates() const = 0;
};

/// One device's implementation of the loops.
class ClusterBackend {
 public:
  virtual ~ClusterBackend() = default;
  /// Returns the device's description, such as "CPU, 2 threads".
  virtual std::string describe() const = 0;

  /// Returns how many rows of `cols` values to load at a time when streaming.
  virtual int64_t block_rows(int64_t cols) const = 0;
  /// Loads a block of rows; see Points.
  virtual std::unique_ptr<Points> load(MatrixView rows) = 0;

  /// Returns whether passes heed PricedCentroids::tree.
  virtual bool searches_near() const { return false; }
  /// Begins a pass. The rule and `cache` (null: none) must outlive the pass.
  virtual std::unique_ptr<Pass> begin_pass(const PricedCentroids& rule,
                                           PassCache* cache = nullptr) = 0;
  /// Returns a cache for that many points and centroids that takes at most `bytes`, and subtracts
  /// what it takes from `bytes`; returns null if that is too little to be useful. `settled`: whether
  /// the centroids of the first pass are near the last ones.
  virtual std::unique_ptr<PassCache> make_pass_cache(int64_t /*rows*/, int64_t /*clusters*/,
                                                     bool /*settled*/, int64_t& /*bytes*/) const {
    return nullptr;
  }
  /// Returns the mean difference between best and second-best score, measured on about 4,096 evenly
  /// spaced points; infinity for a single centroid.
  virtual float mean_gap(const Points& points, const PricedCentroids& rule) = 0;
  /// Adds these points to `boundary`, which is created if null. All blocks of one boundary must be
  /// added with the same rule and the same reach (K).
  virtual void add_boundary(const Points& points, const PricedCentroids& rule,
                            const PriceReach& reach, std::unique_ptr<Boundary>& boundary) = 0;
  /// Returns the boundary of this one block.
  std::unique_ptr<Boundary> find_boundary(const Points& points, const PricedCentroids& rule,
                                          const PriceReach& reach);
  /// Returns the prices p_c − down_c, K values.
  static std::vector<float> lowest_prices(const PricedCentroids& rule, const PriceReach& reach);

  /// Adds each column's sum: sums[d] += Σ x_d, D values.
  virtual void add_column_sums(const Points& points, std::span<double> sums) = 0;
  /// Adds the scatter matrix: scatter[i·D + j] += Σ (x − mean)_i (x − mean)_j, at least for j ≥ i.
  virtual void add_scatter(const Points& points, std::span<const float> mean,
                           std::span<double> scatter) = 0;
  /// Writes the projections out[i] = (x_i − mean)·Wᵀ, N×P.
  virtual void project(const Points& points, const Pca& pca, float* out) = 0;
};

/// Returns the CPU backend. It keeps no state between calls, so all callers share one.
ClusterBackend& cpu_cluster_backend();

/// Returns the backend named "cpu", "cuda" or "cuda:N". A GPU's backend may be used only by the
/// thread that made it. Throws Error(usage) for another name or a device this machine lacks.
std::unique_ptr<ClusterBackend> make_cluster_backend(const std::string& device);

/// Returns the backend of GPU number `device`. Implemented in lib/cluster/cuda/ or, in a build
/// without CUDA, in lib/cluster/no_cuda/. Throws Error(usage) saying what is missing.
std::unique_ptr<ClusterBackend> make_cuda_cluster_backend(int device);

}  // namespace hardmoe
