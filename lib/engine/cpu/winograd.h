// Winograd's minimal filtering F(2×2,3×3) (Lavin & Gray 2016, §4.1): a 3×3 convolution of stride 1
// and padding 1 with 16 multiplications for every four outputs, where the sum itself takes 36. All
// three passes, in float32 on NHWC maps. Sums of a few neighbours replace the rest, so results
// differ from the direct sum by rounding only.
#pragma once

#include <cstdint>

#include "base/threads.h"

namespace hardmoe::cpu {

/// A layer's sizes; channels are whole vectors (multiples of 16). The map is cut into 2×2 tiles of
/// output, each made from a 4×4 patch of input; a tile becomes one row in each of 16 products of
/// (tiles×I)·(I×O).
struct Winograd {
  int64_t batch, height, width;
  int64_t in_channels, out_channels;
  int64_t threads = compute_threads();  ///< most that work on it; the workspace has room for them

  int64_t tiles_down() const { return (height + 1) / 2; }
  int64_t tiles_across() const { return (width + 1) / 2; }
  int64_t tiles() const { return batch * tiles_down() * tiles_across(); }
  /// Floats of transformed weights.
  int64_t weight_floats() const { return 16 * in_channels * out_channels; }
  /// The layer whose forward pass is this one's backward pass.
  Winograd transposed() const { return {batch, height, width, out_channels, in_channels, threads}; }
};

/// weights: 3×3×I×O. `u` for winograd_convolution() of `layer`, or of layer.transposed().
void transform_weights(const Winograd& layer, const float* weights, float* u);
void transform_weights_transposed(const Winograd& layer, const float* weights, float* u);

/// Floats of workspace that the two below need.
int64_t convolution_workspace(const Winograd& layer);
int64_t weight_gradient_workspace(const Winograd& layer);

/// y (N×H×W×O) from x (N×H×W×I). The data gradient is the transposed layer's convolution of dy.
void winograd_convolution(const Winograd& layer, const float* x, const float* u, float* y,
                          float* workspace);

/// dw (3×3×I×O) from x and dy.
void winograd_weight_gradient(const Winograd& layer, const float* x, const float* dy, float* dw,
                              float* workspace);

}  // namespace hardmoe::cpu
