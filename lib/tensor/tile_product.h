// The inner loop of a matrix product: a tile of sums held in registers over the whole depth. One
// function a vector extension. Not a BLAS: callers cut their matrices into blocks that fit caches
// and lay out the right-hand side so that it is read as one stream.
#pragma once

#include <cstdint>
#include <span>

namespace hardmoe {

/// out(r,c) = start(r,c) + Σ_d a(r,d) · b(d,c) for r < rows, c < columns, d < depth, where
///   a(r,d) = a[r·row_stride + d·depth_stride], b(d,c) = b[d·b_stride + c],
///   start(r,c) = start[r·start_stride + c] (stride 0: one row for all),
///   out(r,c) = out[r·out_stride + c].
/// `columns` is a multiple of the level's lanes. `start` may be `out`. Each sum is taken in the
/// order of d, whatever tile it falls in.
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

/// One vector extension.
struct TileLevel {
  const char* name;  ///< "x86-64-v4", …
  int64_t lanes;     ///< floats in a vector
  int64_t columns;   ///< of a full tile: wider products go through them from left to right
  void (*product)(const TileProduct& p);
};

/// What this machine can run, widest vectors first.
std::span<const TileLevel> tile_levels();

/// By the widest.
void multiply(const TileProduct& product);

}  // namespace hardmoe
