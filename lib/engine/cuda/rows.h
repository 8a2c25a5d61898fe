// Adds one row to many: for what is learned once and added to every position or every image. The way
// back is bias_gradient() of kernels.h.
#pragma once

#include "engine/cuda/kernels.h"

namespace hardmoe::cuda {

/// y = x + row, for each of `rows` rows of n values; x and y of one precision. y may be x.
void add_row(Activations x, const float* row, int64_t rows, int64_t n, Activations y,
             Stream stream);

}  // namespace hardmoe::cuda
