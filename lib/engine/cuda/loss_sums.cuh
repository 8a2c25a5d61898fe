// Sums over the threads of a block that has one row of scores to itself, as the losses need them.
#pragma once

#include "engine/cuda/pack.cuh"
#include "gpu/launch.cuh"

namespace hardmoe::cuda {

inline constexpr int loss_threads = 512;  // a block
inline constexpr size_t loss_sum_bytes = loss_threads * sizeof(double);

/// Σ over the block's threads, in every thread. Every thread calls it.
__device__ __forceinline__ double block_sum(double value) {
  double* shared = reinterpret_cast<double*>(dynamic_shared);
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();  // what was there has been read
  shared[thread] = value;
  for (int half = loss_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) shared[thread] += shared[thread + half];
  }
  __syncthreads();
  return shared[0];
}

/// The largest logit so far and Σ e^(z − top). A NaN or +∞ ends as a NaN total.
struct Exponentials {
  float top = -3.4e38F;
  float total = 0;
};
__device__ __forceinline__ Exponentials merged(Exponentials a, Exponentials b) {
  const float top = fmaxf(a.top, b.top);
  return {top, a.total * expf(a.top - top) + b.total * expf(b.top - top)};
}
__device__ __forceinline__ Exponentials block_merge(Exponentials value) {
  Exponentials* shared = reinterpret_cast<Exponentials*>(dynamic_shared);
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();
  shared[thread] = value;
  for (int half = loss_threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) shared[thread] = merged(shared[thread], shared[thread + half]);
  }
  __syncthreads();
  return shared[0];
}

/// Zeros from tag `begin` to the end of the row.
template <class T>
__device__ __forceinline__ void clear(T* gradient, int64_t begin, int64_t stride) {
  constexpr float zero[1] = {0};
  for (int64_t j = begin + threadIdx.x; j < stride; j += loss_threads) store(gradient + j, zero);
}

}  // namespace hardmoe::cuda
