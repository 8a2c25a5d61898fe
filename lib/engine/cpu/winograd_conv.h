// 3×3 convolutions of stride 1 in float32 by Winograd's F(2×2,3×3) (engine/cpu/winograd.h).
#pragma once

#include "engine/cpu/convolution.h"

namespace hardmoe::cpu {

bool suits_winograd_convolution(const ConvolutionSpec& spec);
std::unique_ptr<Convolution> make_winograd_convolution(const ConvolutionSpec& spec);

}  // namespace hardmoe::cpu
