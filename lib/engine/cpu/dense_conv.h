// Convolutions on maps smaller than their window, as one matrix product. On a 2×2 map a padded 3×3
// window sees all four inputs from every output, through four of its nine taps: the other five
// multiply padding. As a (H·W·I)×(H'·W'·O) matrix of those taps the layer costs 4/9 of the
// convolution.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cpu/kernels.h"
#include "engine/cpu/onednn.h"

namespace hardmoe::cpu {

struct DenseConv {
  int64_t in_channels, out_channels;
  int64_t in_positions, out_positions;
  /// out_positions×in_positions: which of the kernel's taps joins them, or -1.
  std::vector<int> taps;
  /// Layout of the weights it reads: tap by tap, each out_channels×in_channels.
  onednn::Desc weights;

  int64_t matrix_rows() const { return out_positions * out_channels; }
  int64_t matrix_columns() const { return in_positions * in_channels; }
};

/// Whether the matrix is worth its making: it needs fewer multiplications than the convolution and,
/// in fp32, is no larger than the weights (measured: on 2×2 maps reading it costs what the taps
/// saved; in bf16 it does not).
bool suits_dense_conv(const Op& op, const Extent& in, const Extent& out, Precision precision);

DenseConv dense_conv(const Op& op, const Extent& in, const Extent& out);

/// weights (taps×O×I) → matrix rows (p,o) × columns (q,i). Blocks without a tap are not written:
/// the matrix must start as zeros.
void expand(const DenseConv& conv, const float* weights, Activations matrix);

/// The transpose: adds up the matrix's gradient over all places of each tap. Taps that join nothing
/// get 0.
void fold(const DenseConv& conv, const float* matrix_gradient, float* weight_gradient);

}  // namespace hardmoe::cpu
