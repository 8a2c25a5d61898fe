// Where the long loops of k-means and PCA run: the CPU or one GPU. Each call takes one block of
// rows and adds to what blocks before it gave, so that callers may stream a matrix larger than
// memory. The decisions (prices, centroids, eigenvectors, seeds) are made above this, once for all
// backends, which agree within float32 rounding.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cluster/matrix_view.h"

namespace hardmoe {

struct Pca;

/// A block of rows (N×D float32) as a backend wants it: for a GPU a copy in its memory as far as it
/// fits. Only for the backend that made it. The matrix it was made from must outlive it.
class Points {
 public:
  explicit Points(MatrixView view) : view_(view) {}
  virtual ~Points() = default;
  Points(const Points&) = delete;
  Points& operator=(const Points&) = delete;
  /// The rows in host memory.
  MatrixView view() const { return view_; }

 private:
  MatrixView view_;
};

/// The rule argmin ‖z − c‖² + p_c, the lower index of equals: K×D, K.
struct PricedCentroids {
  MatrixView centroids;
  std::span<const float> prices;
};

/// What passes over blocks of points found, added up.
struct PassTotals {
  std::vector<double> sums;    ///< K×D: the sum of each part's points
  std::vector<int64_t> sizes;  ///< K
  double inertia = 0;          ///< Σ ‖z − c‖², c each point's centroid
  int64_t moved = 0;           ///< points whose part was another before

  PassTotals(int64_t clusters, int64_t depth)
      : sums(static_cast<size_t>(clusters * depth)), sizes(static_cast<size_t>(clusters)) {}
};

/// What a backend remembers of all points from one pass over them to the next, so that it need not
/// compare each with all centroids. What is found stays the same to the bit. Only for the backend
/// that made it, and for passes over the same points that each go to the end.
class PassMemory {
 public:
  virtual ~PassMemory() = default;
};

/// One pass of a rule over points, block by block.
class Pass {
 public:
  virtual ~Pass() = default;
  /// Gives each point its part, in place: `assignment` (N) holds the parts of the pass before, any
  /// value at first. `first`: the number of the block's first row among all points.
  virtual void assign(const Points& points, int64_t first, std::span<uint16_t> assignment,
                      PassTotals& totals) = 0;
};

/// How far prices p may go: from p − down to p + up, of each centroid (K) or part.
struct PriceReach {
  std::vector<float> down, up;
};

/// What is left to decide about blocks of points while prices stay within reach. Only centroids
/// whose lowest score within reach, ‖z − c‖² + p_c − down_c, is not above the least of all highest,
/// ‖z − b‖² + p_b + up_b, can win a point. Points that have one such centroid are counted once and
/// for all; the others' candidates are kept.
class Boundary {
 public:
  virtual ~Boundary() = default;
  /// Adds the parts' sizes at these prices, K.
  virtual void add_sizes(std::span<const float> prices, std::span<int64_t> sizes) const = 0;
  /// How many candidates are kept, of all points together.
  virtual int64_t candidates() const = 0;
};

class ClusterBackend {
 public:
  virtual ~ClusterBackend() = default;
  /// "CPU, 2 threads".
  virtual std::string describe() const = 0;

  /// Rows of `cols` values to load at a time, of a matrix that is streamed.
  virtual int64_t block_rows(int64_t cols) const = 0;
  virtual std::unique_ptr<Points> load(MatrixView rows) = 0;

  /// The rule and `memory` (null: none) must outlive the pass.
  virtual std::unique_ptr<Pass> begin_pass(const PricedCentroids& rule,
                                           PassMemory* memory = nullptr) = 0;
  /// A memory of so many points and centroids, of `bytes` at most, from which what it takes is
  /// subtracted; null where that is too little for one to be of use.
  virtual std::unique_ptr<PassMemory> make_memory(int64_t /*rows*/, int64_t /*clusters*/,
                                                  int64_t& /*bytes*/) const {
    return nullptr;
  }
  /// The mean distance from best to second-best score, over about 4,096 points evenly apart;
  /// infinite for one centroid.
  virtual float mean_gap(const Points& points, const PricedCentroids& rule) = 0;
  /// Adds these points to `boundary` (null: makes it), of blocks under the same rule and reach, K.
  virtual void add_boundary(const Points& points, const PricedCentroids& rule,
                            const PriceReach& reach, std::unique_ptr<Boundary>& boundary) = 0;
  /// Of one block.
  std::unique_ptr<Boundary> find_boundary(const Points& points, const PricedCentroids& rule,
                                          const PriceReach& reach);
  /// The prices p_c − down_c.
  static std::vector<float> lowest_prices(const PricedCentroids& rule, const PriceReach& reach);

  /// sums[d] += Σ x_d, D values.
  virtual void add_column_sums(const Points& points, std::span<double> sums) = 0;
  /// scatter[i·D + j] += Σ (x − mean)_i (x − mean)_j for j ≥ i at least.
  virtual void add_scatter(const Points& points, std::span<const float> mean,
                           std::span<double> scatter) = 0;
  /// out[i] = (x_i − mean)·Wᵀ, N×P.
  virtual void project(const Points& points, const Pca& pca, float* out) = 0;
};

/// The CPU's; it keeps nothing between calls.
ClusterBackend& cpu_cluster_backend();

/// "cpu", "cuda" or "cuda:N". A GPU's backend is for the thread that makes it. Throws Error(usage)
/// for another name or a device that is not here.
std::unique_ptr<ClusterBackend> make_cluster_backend(const std::string& device);

/// GPU number `device`: lib/cluster/cuda/ or, in a build without CUDA, lib/cluster/no_cuda/. Throws
/// Error(usage) saying what is missing.
std::unique_ptr<ClusterBackend> make_cuda_cluster_backend(int device);

}  // namespace hardmoe
