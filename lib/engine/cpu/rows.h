// Adds one row to many, and the way back: sums over rows. For what is learned once and added to every
// position or every image: a bias, a table of positions, a class token.
#pragma once

#include <cstdint>

#include "engine/cpu/kernels.h"

namespace hardmoe::cpu {

/// y = x + row, for each of `rows` rows of n values. y may be x.
void add_row(Activations x, const float* row, int64_t rows, int64_t n, Activations y);

/// out[i] = the sum over `rows` rows of the first n values of each; `pitch` values lie from the
/// beginning of a row to the next one's. Added up in double, in order.
void sum_rows(Activations x, int64_t rows, int64_t pitch, int64_t n, float* out);

}  // namespace hardmoe::cpu
