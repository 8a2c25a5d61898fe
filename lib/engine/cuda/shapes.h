// How the CUDA engine holds a network's values, and the shapes its convolutions have for that.
// Host-side, no device.
#pragma once

#include <vector>

#include "engine/cuda/conv_plan.h"
#include "engine/lowering.h"

namespace hardmoe::cuda {

/// Channels each value is held with: an image's 4, which cuDNN's kernels for first layers take, all
/// others in multiples of 8, 128 bits of bf16. What is added is zero and stays so; networks of the
/// usual widths have nothing added. Throws Error for an operator that would join two values held
/// differently.
std::vector<int64_t> held_channels(const Network& network);

/// A convolution's shape for batches of `batch`; `held` as held_channels() says.
ConvShape conv_shape(const Network& network, const std::vector<int64_t>& held, const Node& node,
                     int64_t batch);

}  // namespace hardmoe::cuda
