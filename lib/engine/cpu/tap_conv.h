// Convolutions on small maps in float32, tap by tap: one matrix product for each pair of places
// that a tap joins (engine/cpu/taps.h), over the whole batch, and none for taps that only see
// padding. All three passes read the weights as they are held.
#pragma once

#include "engine/cpu/convolution.h"

namespace hardmoe::cpu {

bool suits_tap_convolution(const ConvolutionSpec& spec);
std::unique_ptr<Convolution> make_tap_convolution(const ConvolutionSpec& spec);

}  // namespace hardmoe::cpu
