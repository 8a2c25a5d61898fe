// The shape that a convolution has for the planner. Host-side, no device.
#pragma once

#include "engine/cuda/conv_plan.h"
#include "engine/ops/operator.h"

namespace hardmoe::cuda {

/// in, out: extents of one row, held with `held_in` and `held_out` channels.
ConvShape conv_shape(const Window& window, const Extent& in, int64_t held_in, const Extent& out,
                     int64_t held_out, int64_t rows);

}  // namespace hardmoe::cuda
