// The few names of the CUDA runtime that our kernels and their tests use, defined on the host: the
// same .cu files compile as C++ and run on a machine without a GPU, block after block, each thread
// of a block on a stack of its own (emulation.cpp). For tests only: it checks what kernels compute,
// their bounds, alignment and barriers; it says nothing about speed.
#pragma once

#include <math.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>

#include "streams.h"

#define __global__
#define __device__
#define __host__
#define __shared__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

// ---- types ----

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  dim3() = default;
  explicit dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct alignas(8) uint2 {
  uint32_t x, y;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }
inline uint2 make_uint2(uint32_t x, uint32_t y) { return {x, y}; }
inline float __uint_as_float(uint32_t word) { return std::bit_cast<float>(word); }

// ---- inside a kernel ----

extern dim3 threadIdx, blockIdx, blockDim, gridDim;  // of the thread that is running

namespace cuda_emulation {

void barrier();

/// Runs body once for every thread of the grid.
void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body);

}  // namespace cuda_emulation

inline void __syncthreads() { cuda_emulation::barrier(); }
inline int atomicAdd(int* p, int value) { return (*p += value) - value; }  // one thread at a time

// ---- the host's side ----

using cudaStream_t = struct CUstream_st*;

enum cudaError_t { cudaSuccess, cudaErrorMemoryAllocation };
inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error" : "out of memory";
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }

enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount };
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
namespace cuda_emulation {
int multiprocessors();  ///< few, so that small arrays already need every loop
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  return *value = cuda_emulation::multiprocessors(), cudaSuccess;
}

enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
cudaError_t cudaMalloc(void** p, size_t bytes);
cudaError_t cudaFree(void* p);
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  if (bytes > 0) std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemset(void* p, int value, size_t bytes) {
  if (bytes > 0) std::memset(p, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
};
template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  cuda_emulation::enqueue(
      config->stream, [launch = *config, kernel, kept = std::tuple<Parameters...>(arguments...)] {
        cuda_emulation::run_grid(launch.gridDim, launch.blockDim, launch.dynamicSmemBytes,
                                 [&] { std::apply(kernel, kept); });
      });
  return cudaSuccess;
}
