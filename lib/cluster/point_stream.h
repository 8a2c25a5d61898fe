// Points that loops visit block by block. Blocks are cut at the same rows however much memory there
// is, so that no result depends on it. As many blocks as a budget allows stay in memory; the others
// are read (and projected) again in every pass.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/random.h"
#include "cluster/backend.h"
#include "cluster/row_source.h"

namespace hardmoe {

/// The rows of a source, or their projections, as a sequence of blocks on one backend.
class PointStream {
 public:
  struct Options {
    const Pca* pca = nullptr;  ///< points are the rows' projections; null: the rows themselves
    int64_t keep_bytes = 0;    ///< budget for blocks that stay in memory, and for caches of passes
    int64_t block_rows = 0;    ///< 0: ClusterBackend::block_rows()
  };

  /// `source`, `backend` and the PCA must outlive the stream. Throws Error if the PCA was fitted to
  /// rows of another length.
  PointStream(const RowSource& source, ClusterBackend& backend, const Options& options);
  PointStream(const RowSource& source, ClusterBackend& backend)
      : PointStream(source, backend, Options()) {}

  int64_t rows() const { return source_.rows(); }
  int64_t cols() const { return cols_; }
  int64_t blocks() const { return static_cast<int64_t>(kept_.size()); }
  int64_t block_rows() const { return block_rows_; }
  ClusterBackend& backend() const { return backend_; }

  /// Returns a cache for passes over these points (ClusterBackend::make_pass_cache), taken from
  /// half of the budget that is left; or null.
  std::unique_ptr<PassCache> make_pass_cache(int64_t clusters, bool settled);

  /// Drops all kept blocks and gives the whole budget back, so that another stream may use as much.
  void release();

  /// Calls body(points, first row) for each block in order, until it returns false. The points are
  /// valid only during the call.
  void for_each(const std::function<bool(const Points&, int64_t)>& body);

  /// Copies points [first, first + count) to `out`, count×cols().
  void read(int64_t first, int64_t count, float* out) const;
  /// Returns the points of the chosen rows, in the given order.
  Tensor rows_at(std::span<const int64_t> chosen) const;
  /// Returns `count` points drawn without replacement, in the stream's order; all points if there
  /// are no more than that.
  Tensor sample(int64_t count, Random random) const;
  /// Returns about 4,096 evenly spaced points, loaded; the same ones each time.
  const Points& probes();

  /// Returns the most bytes that loops need besides kept blocks, for rows of `inputs` values and
  /// points of `cols`.
  static int64_t buffer_bytes(int64_t block_rows, int64_t inputs, int64_t cols, bool projected);

 private:
  struct Block {
    Tensor values;  ///< empty: they are in the source's memory, or the block is not kept
    std::unique_ptr<Points> points;
  };
  const RowSource& source_;
  ClusterBackend& backend_;
  const Pca* pca_;
  int64_t cols_, block_rows_, budget_, keep_bytes_;
  std::vector<Block> kept_;
  mutable Tensor rows_;  ///< one block of rows, before projection
  Tensor projected_;     ///< one block of points
  Block probes_;
};

}  // namespace hardmoe
