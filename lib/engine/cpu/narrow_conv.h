// Strided 1×1 convolutions of fewer than 8 input channels, as plain loops over the places that the
// stride keeps: downsampling shortcuts of narrow networks. oneDNN 2's fp32 backward-weights of this
// shape writes beyond its buffers with AVX2. So few channels that the loops are no part of the time.
#pragma once

#include "engine/cpu/convolution.h"

namespace hardmoe::cpu {

bool suits_narrow_convolution(const ConvolutionSpec& spec);
std::unique_ptr<Convolution> make_narrow_convolution(const ConvolutionSpec& spec);

}  // namespace hardmoe::cpu
