// Launches kernels, for .cu files. In tests the same files run on the host, because
// tests/gpu/emulation/ defines the few CUDA names used here and in the kernels. So kernels must not
// use warp intrinsics, and must take shared memory only through dynamic_shared.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "gpu/stream.h"

namespace hardmoe::cuda {

/// Throws Error: kernel `name` could not be started, because of `reason`.
[[noreturn]] void launch_failed(const char* name, const char* reason);

extern __shared__ __align__(16) unsigned char dynamic_shared[];

/// Enqueues kernel(args…) with `shared` bytes of shared memory a block (up to 48 KB).
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, int threads, size_t shared,
            Stream stream, const Arguments&... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  const cudaError_t status =
      cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next call is not told of it again
  launch_failed(name, cudaGetErrorString(status));
}

/// The same for `blocks` blocks along x; does nothing for 0 blocks.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), int64_t blocks, int threads,
            size_t shared, Stream stream, const Arguments&... arguments) {
  if (blocks == 0) return;
  launch(name, kernel, dim3(static_cast<unsigned>(blocks)), threads, shared, stream, arguments...);
}

/// Returns the number of multiprocessors of the current device.
inline int64_t multiprocessors() {
  int device = 0;
  int count = 0;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) {
    status = cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
  }
  if (status != cudaSuccess) launch_failed("for the first time", cudaGetErrorString(status));
  return count;
}

/// Returns ⌈a/b⌉ for a ≥ 0, b > 0.
inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Returns a grid of `blocks` blocks along x, but at most 32 for each multiprocessor. For kernels
/// that loop with the grid's size as their stride.
inline dim3 striding_grid(int64_t blocks) {
  const int64_t most = 32 * multiprocessors();
  return dim3(static_cast<unsigned>(blocks < most ? blocks : most));
}

}  // namespace hardmoe::cuda
