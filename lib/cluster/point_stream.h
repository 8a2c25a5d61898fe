// Points that loops go over block by block, cut at the same rows however much memory there is, so
// that no result depends on it. Blocks stay in memory as far as a budget allows; the others are
// read again (and projected again) in every pass.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/random.h"
#include "cluster/backend.h"
#include "cluster/row_source.h"

namespace hardmoe {

class PointStream {
 public:
  struct Options {
    const Pca* pca = nullptr;  ///< points are the rows' projections
    int64_t keep_bytes = 0;    ///< memory for blocks that are kept
    int64_t block_rows = 0;    ///< 0: what the backend likes
  };

  /// `source`, `backend` and the PCA must outlive this. Throws Error if the PCA takes rows of
  /// another length.
  PointStream(const RowSource& source, ClusterBackend& backend, const Options& options);
  PointStream(const RowSource& source, ClusterBackend& backend)
      : PointStream(source, backend, Options()) {}

  int64_t rows() const { return source_.rows(); }
  int64_t cols() const { return cols_; }
  int64_t blocks() const { return static_cast<int64_t>(kept_.size()); }
  int64_t block_rows() const { return block_rows_; }
  ClusterBackend& backend() const { return backend_; }

  /// A memory of passes over these points (ClusterBackend::make_memory) out of half of what may
  /// keep blocks; or null.
  std::unique_ptr<PassMemory> make_memory(int64_t clusters);

  /// Gives up the blocks that are kept and what memories took, so that another stream may have as
  /// much.
  void release();

  /// Calls body(points, the first one's row) for each block in order until it returns false. The
  /// points are there during the call only.
  void for_each(const std::function<bool(const Points&, int64_t)>& body);

  /// Points [first, first + count), count×cols().
  void read(int64_t first, int64_t count, float* out) const;
  /// The points of these rows, in this order.
  Tensor rows_at(std::span<const int64_t> chosen) const;
  /// `count` points drawn without replacement, in their order here; all if there are no more.
  Tensor sample(int64_t count, Random random) const;
  /// About 4,096 points evenly apart, loaded.
  const Points& probes();

  /// Bytes that loops over blocks of rows of `inputs` values, points of `cols`, need at most
  /// besides kept blocks.
  static int64_t buffer_bytes(int64_t block_rows, int64_t inputs, int64_t cols, bool projected);

 private:
  struct Block {
    Tensor values;  ///< empty: in the source's memory, or not kept
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
