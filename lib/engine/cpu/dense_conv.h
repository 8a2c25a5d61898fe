// Convolutions on maps smaller than their window, as one matrix product: the taps that join places
// (engine/cpu/taps.h) make a (H·W·I)×(H'·W'·O) matrix, 4/9 of the convolution's work for a 3×3
// window on a 2×2 map. Worth it in bf16; in fp32 reading that matrix costs what it saves, and
// engine/cpu/tap_conv.h does better.
#pragma once

#include "engine/cpu/convolution.h"

namespace hardmoe::cpu {

bool suits_dense_convolution(const ConvolutionSpec& spec);
std::unique_ptr<Convolution> make_dense_convolution(const ConvolutionSpec& spec);

}  // namespace hardmoe::cpu
