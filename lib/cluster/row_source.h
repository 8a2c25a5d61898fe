// Rows of a matrix from memory, or from files larger than memory.
#pragma once

#include <cstdint>

#include "cluster/matrix_view.h"

namespace hardmoe {

/// An N×D matrix that is read by rows. Not safe to use from several threads at once.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual int64_t rows() const = 0;
  virtual int64_t cols() const = 0;
  /// Returns all rows if they are float32 in memory already, otherwise null.
  virtual const float* in_memory() const { return nullptr; }
  /// Copies rows [first, first + count) to `out` (count×D float32, finite). Each row's values
  /// depend on that row only. Throws Error naming the file and row if reading fails.
  virtual void read(int64_t first, int64_t count, float* out) const = 0;
  /// Returns these rows without copying, valid until the next call; null if they must be copied.
  virtual const float* view(int64_t /*first*/, int64_t /*count*/) const { return nullptr; }
  /// Announces that these rows are read next, so that a file can be fetched meanwhile.
  virtual void prefetch(int64_t /*first*/, int64_t /*count*/) const {}
};

/// A matrix in memory, which must outlive the source.
class MatrixSource final : public RowSource {
 public:
  explicit MatrixSource(MatrixView matrix) : matrix_(matrix) {}
  int64_t rows() const override { return matrix_.rows; }
  int64_t cols() const override { return matrix_.cols; }
  const float* in_memory() const override { return matrix_.data; }
  void read(int64_t first, int64_t count, float* out) const override;
  const float* view(int64_t first, int64_t /*count*/) const override { return matrix_.row(first); }

 private:
  MatrixView matrix_;
};

}  // namespace hardmoe
