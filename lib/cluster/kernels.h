// The inner loops of clustering: the nearest column of a row of scores, and squared distances.
// There is one set for each vector extension; kernels_for() chooses among those that this machine
// has. Matrix products are in tensor/tile_product.h.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor.h"
#include "tensor/tile_product.h"

namespace hardmoe {

/// The loops for one vector extension. Each result is a sum in a fixed order, so results do not
/// depend on how rows are cut into blocks.
struct Kernels {
  TileLevel level;
  /// Writes index[r] = the first column with the least of scores[r·columns …]. `columns` must be a
  /// multiple of the level's lanes.
  void (*nearest)(const float* scores, int64_t rows, int64_t columns, int32_t* index);
  /// Returns Σ_d (a[d] − b[d])².
  float (*squared_distance)(const float* a, const float* b, int64_t depth);
};

/// Returns the loops this machine can run, widest vectors first.
std::span<const Kernels> supported_kernels();

/// Returns the fastest loops for a matrix of that many columns: vectors no wider than the columns
/// fill. Products have the same bits at all levels with fused multiply-add; the last bits of
/// squared_distance differ from level to level.
const Kernels& kernels_for(int64_t columns);

/// A depth×columns matrix laid out so that a product reads it as one stream: panels of adjacent
/// columns, each depth×width. Columns are padded with zeros to whole vectors.
class PackedMatrix {
 public:
  /// `kernels` must outlive the matrix.
  PackedMatrix(int64_t depth, int64_t columns, const Kernels& kernels);
  PackedMatrix(int64_t depth, int64_t columns)
      : PackedMatrix(depth, columns, kernels_for(columns)) {}

  int64_t depth() const { return depth_; }
  int64_t columns() const { return columns_; }
  const Kernels& kernels() const { return *kernels_; }
  int64_t padded_columns() const { return padded_; }
  /// Sets column `column` to `depth` values, each times `scale`.
  void set_column(int64_t column, const float* values, float scale);

  /// Computes out[r·padded_columns() + c] = bias[c] + Σ_d a[r·row_stride + d·depth_stride]·b(d, c)
  /// for r < rows, where b is this matrix. `bias` has padded_columns() values.
  void multiply(const float* a, int64_t row_stride, int64_t depth_stride, int64_t rows,
                const float* bias, float* out) const;

 private:
  const Kernels* kernels_;
  int64_t depth_, columns_, padded_;
  Tensor data_;
};

/// Adds `count` values: sums[d] += values[d].
void add_to_sums(const float* values, int64_t count, double* sums);

}  // namespace hardmoe
