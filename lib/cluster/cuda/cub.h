// The two of CUB's algorithms that clustering needs. Results are cudaError_t; `scratch` is device
// memory of the bytes that the function before says.
#pragma once

#include <cstdint>

#include "gpu/stream.h"

namespace hardmoe::cluster_cuda {

int64_t sort_scratch(int64_t count, int bits);
/// Sorts `count` labels by their lowest `bits`; order: where each stood, equal ones in their order.
int sort_pairs(void* scratch, int64_t scratch_bytes, const uint16_t* labels, int64_t count,
               int bits, uint16_t* sorted, int32_t* order, cuda::Stream stream);

int64_t sum_scratch(int64_t count);
/// values[i] = Σ of those before it, in place.
int exclusive_sum(void* scratch, int64_t scratch_bytes, int64_t* values, int64_t count,
                  cuda::Stream stream);

}  // namespace hardmoe::cluster_cuda
