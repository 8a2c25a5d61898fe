// Winograd's minimal filtering (Lavin & Gray 2016, §4.1) of 3×3 convolutions with padding 1: where the
// sum itself takes 36 multiplications for four outputs, F(2×2,3×3) takes 16 and F(4×4,3×3) 9; where the
// stride is 2, products of its four phases take 20 for four outputs. On NHWC maps of either precision,
// with products and sums in float32. Sums of a few neighbours replace the rest, so results differ from
// the direct sum by rounding only.
#pragma once

#include <cstdint>

#include "base/threads.h"
#include "engine/cpu/finish.h"
#include "engine/cpu/winograd_transforms.h"
#include "engine/spec.h"

namespace hardmoe::cpu {

/// Sizes of a minimal filter, each way (MinimalFilter).
struct MinimalSizes {
  int64_t tile, stride, side, components, weights;
};
MinimalSizes sizes_of(Minimal kind);

/// A layer's sizes; channels are whole vectors (multiples of 16). The output is cut into square tiles,
/// each made from a patch of input; a tile becomes one row in each of `components` products of
/// (tiles×I)·(I×O).
struct Winograd {
  int64_t batch;
  int64_t in_height, in_width, height, width;  ///< of inputs, of outputs
  int64_t in_channels, out_channels;
  Minimal kind = Minimal::two;
  Precision precision = Precision::fp32;  ///< of maps
  int64_t threads = compute_threads();    ///< most that work on it; the workspace has room for them

  int64_t components() const { return sizes_of(kind).components * sizes_of(kind).components; }
  int64_t tiles_down() const { return (height + sizes_of(kind).tile - 1) / sizes_of(kind).tile; }
  int64_t tiles_across() const { return (width + sizes_of(kind).tile - 1) / sizes_of(kind).tile; }
  int64_t tiles() const { return batch * tiles_down() * tiles_across(); }
  /// Multiplications that an image takes, each pair of channels.
  int64_t products() const { return components() * tiles_down() * tiles_across(); }
  /// Different transformed weights, each pair of channels.
  int64_t weights() const { return sizes_of(kind).weights * sizes_of(kind).weights; }
  /// Floats of transformed weights.
  int64_t weight_floats() const { return weights() * in_channels * out_channels; }
  /// The layer whose forward pass is this one's backward pass; of stride 1.
  Winograd transposed() const {
    Winograd layer = *this;
    layer.in_channels = out_channels;
    layer.out_channels = in_channels;
    return layer;
  }
};

/// weights: 3×3×I×O. `u` for winograd_convolution() of `layer`, or of layer.transposed().
void transform_weights(const Winograd& layer, const float* weights, float* u);
void transform_weights_transposed(const Winograd& layer, const float* weights, float* u);

/// Floats of workspace that the two below need.
int64_t convolution_workspace(const Winograd& layer);
int64_t weight_gradient_workspace(const Winograd& layer);

/// y (N×H×W×O) from x (N×H'×W'×I), finished. The data gradient is the transposed layer's convolution
/// of dy.
void winograd_convolution(const Winograd& layer, const void* x, const float* u,
                          const Finish& finish, void* y, float* workspace);

/// dw (3×3×I×O) from x and dy; of stride 1.
void winograd_weight_gradient(const Winograd& layer, const void* x, const void* dy, float* dw,
                              float* workspace);

}  // namespace hardmoe::cpu
