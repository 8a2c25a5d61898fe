// The inner loop of a matrix product: a tile of sums stays in registers over the whole depth. There
// is one function for each vector extension. Not a BLAS: callers cut matrices into blocks that fit
// the caches, and lay out the right-hand side so that it is read as one stream.
#pragma once

#include <cstdint>
#include <span>

namespace hardmoe {

/// The arguments of a product, for r < rows, c < columns, d < depth:
///   out(r,c) = start(r,c) + Σ_d a(r,d) · b(d,c), where
///   a(r,d) = a[r·row_stride + d·depth_stride], b(d,c) = b[d·b_stride + c],
///   start(r,c) = start[r·start_stride + c] (stride 0: one row for all),
///   out(r,c) = out[r·out_stride + c].
/// `columns` must be a multiple of the level's lanes. `start` may be `out`. Each sum is added in
/// the order of d, whichever tile it falls in.
struct TileProduct {
  const float* a;
  int64_t row_stride, depth_stride;
  const float* b;
  int64_t b_stride;
  const float* start;
  int64_t start_stride;
  float* out;
  int64_t out_stride;
  int64_t rows, columns, depth;
};

/// The product for one vector extension.
struct TileLevel {
  const char* name;  ///< such as "x86-64-v4"
  int64_t lanes;     ///< floats in a vector
  int64_t columns;   ///< of a full tile; wider products are cut into such tiles
  void (*product)(const TileProduct& p);
};

/// Returns the extensions this machine can run, widest vectors first.
std::span<const TileLevel> tile_levels();

/// Computes the product with the widest vectors.
void multiply(const TileProduct& product);

}  // namespace hardmoe
