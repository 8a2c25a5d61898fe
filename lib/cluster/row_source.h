// Where the rows of a matrix come from: memory, or files larger than it.
#pragma once

#include <cstdint>

#include "cluster/matrix_view.h"

namespace hardmoe {

class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual int64_t rows() const = 0;
  virtual int64_t cols() const = 0;
  /// All rows where they are float32 in memory already, else null.
  virtual const float* memory() const { return nullptr; }
  /// Copies rows [first, first + count) to `out` (count×D float32, finite). Throws Error naming the
  /// file and row where that fails. Each row's values depend on that row alone.
  virtual void read(int64_t first, int64_t count, float* out) const = 0;
  /// The same rows where they lie, good until the next call; null where they have to be copied.
  virtual const float* view(int64_t /*first*/, int64_t /*count*/) const { return nullptr; }
  /// These rows are read next: a file may be fetched meanwhile.
  virtual void expect(int64_t /*first*/, int64_t /*count*/) const {}
};

/// A matrix in memory, which must outlive this.
class MatrixSource final : public RowSource {
 public:
  explicit MatrixSource(MatrixView matrix) : matrix_(matrix) {}
  int64_t rows() const override { return matrix_.rows; }
  int64_t cols() const override { return matrix_.cols; }
  const float* memory() const override { return matrix_.data; }
  void read(int64_t first, int64_t count, float* out) const override;
  const float* view(int64_t first, int64_t /*count*/) const override { return matrix_.row(first); }

 private:
  MatrixView matrix_;
};

}  // namespace hardmoe
