// Starting a kernel, for .cu files. tests/gpu/emulation/ defines the few CUDA names used here and in
// the kernels, so that the same files run on the host in tests: kernels use no warp intrinsics, and
// shared memory only through dynamic_shared.
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

/// The same for `blocks` blocks along x; nothing where there are none.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), int64_t blocks, int threads,
            size_t shared, Stream stream, const Arguments&... arguments) {
  if (blocks == 0) return;
  launch(name, kernel, dim3(static_cast<unsigned>(blocks)), threads, shared, stream, arguments...);
}

/// Multiprocessors of the current device.
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

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// A grid of `blocks` blocks along x, but at most 32 a multiprocessor: kernels that take it stride
/// over the rest.
inline dim3 striding_grid(int64_t blocks) {
  const int64_t most = 32 * multiprocessors();
  return dim3(static_cast<unsigned>(blocks < most ? blocks : most));
}

}  // namespace hardmoe::cuda
