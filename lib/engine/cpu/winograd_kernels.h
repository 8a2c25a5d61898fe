// The loops of winograd.cpp over tiles and rows of weights, for each vector extension.
#pragma once

#include "engine/cpu/winograd.h"

namespace hardmoe::cpu {

struct Range {
  int64_t begin, end;
};

/// Some tiles of a layer and `width` channels from `first` on. What is transformed has the layout
/// [component][tile][channel]: rows of `width` values, components `stride` floats apart.
struct TileJob {
  const Winograd& layer;
  Range tiles;
  int64_t first, width;
  int64_t stride;
};

/// The functions of one vector extension. Those of gradients are of filters of stride 1 alone.
struct WinogradKernels {
  /// transformed = Bᵀ x B of the patches; `zeros`: as many as there are input channels.
  void (*transform_patches)(const TileJob& job, const void* x, const float* zeros,
                            float* transformed);
  /// transformed = A dy Aᵀ of the tiles; `zeros`: as many as there are output channels.
  void (*transform_gradients)(const TileJob& job, const void* dy, const float* zeros,
                              float* transformed);
  /// y = finish(Aᵀ sums A) of the tiles.
  void (*write_outputs)(const TileJob& job, const float* sums, const Finish& finish, void* y);
  /// u[weight][·] = G taps Gᵀ of `width` weights: taps[9] lie `tap_stride` apart, u `stride`.
  void (*transform_weights)(Minimal kind, const float* taps, int64_t tap_stride, int64_t width,
                            float* u, int64_t stride);
  /// taps = Gᵀ u G of the sum of `parts` arrays u, `part_stride` apart.
  void (*gradient_of_weights)(Minimal kind, const float* u, int64_t stride, int64_t parts,
                              int64_t part_stride, int64_t width, float* taps, int64_t tap_stride);
};

/// Returns those for vectors of 16, 8 or else 4 floats: one of tile_levels() (tensor/tile_product.h).
const WinogradKernels& winograd_kernels(int64_t lanes);
/// Returns those of the widest vectors this machine has.
const WinogradKernels& winograd_kernels();

}  // namespace hardmoe::cpu
