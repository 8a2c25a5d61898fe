// The noise of a program's step on a GPU: the step's number is read from device memory, and elements
// are counted without padding, so that the CPU engine draws the same.
#pragma once

#include <cuda_runtime.h>

#include "engine/cuda/kernels.h"
#include "engine/gate_noise.h"

namespace hardmoe::cuda {

struct NoiseOfStep {
  NoiseKey key;  ///< its step is not used
  const StepFactors* factors = nullptr;
  int64_t channels = 1, held = 1;

  /// Returns the noise of element i of an array of rows×held; 0 for padding.
  __device__ __forceinline__ float at(int64_t i) const {
    const int64_t row = i / held, channel = i % held;
    if (channel >= channels) return 0;
    NoiseKey now = key;
    now.step = factors->step;
    return noise_at(now, row * channels + channel);
  }
};

}  // namespace hardmoe::cuda
