// What the GPU's layers of gates have in common: one thread for each row (rows are short: a number
// an expert), numbers of either precision, and sums over rows.
#pragma once

#include "engine/cuda/elementwise.cuh"
#include "engine/cuda/kernels.h"
#include "engine/cuda/pack.cuh"
#include "gpu/launch.cuh"

namespace hardmoe::cuda {

inline constexpr int gate_threads = 256;

/// Numbers of a row, in float or bf16; perhaps none.
template <class T>
struct GateNumbers {
  T* data = nullptr;

  __device__ __forceinline__ explicit operator bool() const { return data != nullptr; }
  __device__ __forceinline__ float at(int i) const {
    float value[1];
    load(data + i, value);
    return value[0];
  }
  __device__ __forceinline__ void set(int i, float value) const {
    const float one[1] = {value};
    store(data + i, one);
  }
  /// Returns the numbers from number `first` on; none of none.
  __device__ __forceinline__ GateNumbers from(int64_t first) const {
    return {data == nullptr ? nullptr : data + first};
  }
};

/// Calls body(row) for rows 0 … n−1, a thread each. `Body` is a struct with a __device__ operator().
template <class Body>
__global__ void __launch_bounds__(gate_threads) gate_rows_kernel(int64_t n, Body body) {
  const int64_t step = int64_t{gridDim.x} * gate_threads;
  for (int64_t row = int64_t{blockIdx.x} * gate_threads + threadIdx.x; row < n; row += step) {
    body(row);
  }
}
template <class Body>
void for_gate_rows(const char* name, int64_t n, const Body& body, Stream stream) {
  if (n == 0) return;
  launch(name, gate_rows_kernel<Body>, striding_grid(divide_up(n, gate_threads)), gate_threads, 0,
         stream, n, body);
}

/// Enqueues sums[i] = Σ over rows of gates (rows×held).
inline void sum_gates(const float* gates, int64_t rows, int64_t held, float* sums, Stream stream) {
  bias_gradient({const_cast<float*>(gates), Precision::fp32}, rows, held, sums, stream);
}

}  // namespace hardmoe::cuda
