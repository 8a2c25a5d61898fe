// Starting a kernel, for the .cu files of this folder: the sibling of engine/cuda/launch.cuh, with
// the same rules, so that tests/cuda_emulation/ runs these kernels too.
#pragma once

#include <cuda_runtime.h>

#include "cluster/cuda/kernels.h"

namespace hardmoe::cuda {
extern __shared__ __align__(16) unsigned char dynamic_shared[];
}

namespace hardmoe::cluster_cuda {

using cuda::dynamic_shared;

/// Throws Error: kernel `name` could not be started, because of `reason`.
[[noreturn]] void launch_failed(const char* name, const char* reason);

/// Enqueues kernel(args…) with `shared` bytes of shared memory a block (up to 48 KB).
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), int64_t blocks, int threads,
            size_t shared, Stream stream, const Arguments&... arguments) {
  if (blocks == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(blocks));
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  const cudaError_t status =
      cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
  if (status != cudaSuccess) launch_failed(name, cudaGetErrorString(status));
}

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace hardmoe::cluster_cuda
