// Computes out = f(a) or out = f(a, b) element by element, over arrays of any precision. For
// operators that do nothing else. f is a struct with a function `static __device__ float of(…)`,
// which gets and returns float32 (cuda/gelu.cu).
#pragma once

#include "engine/cuda/kernels.h"
#include "engine/cuda/pack.cuh"
#include "gpu/launch.cuh"

namespace hardmoe::cuda {

inline constexpr int element_threads = 256;
inline constexpr int element_width = 4;  ///< elements loaded at once, of either precision

/// Computes V adjacent elements of out = f(a).
template <class Function, class A, class Out, int V>
__device__ __forceinline__ void put_mapped(const A* a, Out* out) {
  float v[V];
  load(a, v);
#pragma unroll
  for (int i = 0; i < V; ++i) v[i] = Function::of(v[i]);
  store(out, v);
}

/// Computes out = f(a), n elements. `out` may be `a`.
template <class Function, class A, class Out>
__global__ void __launch_bounds__(element_threads) map_kernel(const A* a, int64_t n, Out* out) {
  const int64_t first = int64_t{blockIdx.x} * element_threads + threadIdx.x;
  const int64_t step = int64_t{gridDim.x} * element_threads;
  const int64_t whole = n / element_width;
  for (int64_t i = first; i < whole; i += step) {
    put_mapped<Function, A, Out, element_width>(a + i * element_width, out + i * element_width);
  }
  const int64_t rest = whole * element_width + first;
  if (rest < n) put_mapped<Function, A, Out, 1>(a + rest, out + rest);
}

/// Computes V adjacent elements of out = f(a, b).
template <class Function, class A, class B, int V>
__device__ __forceinline__ void put_zipped(const A* a, const B* b, B* out) {
  float v[V], w[V];
  load(a, v);
  load(b, w);
#pragma unroll
  for (int i = 0; i < V; ++i) w[i] = Function::of(v[i], w[i]);
  store(out, w);
}

/// Computes out = f(a, b), n elements. `out` may be `b`, and has its type.
template <class Function, class A, class B>
__global__ void __launch_bounds__(element_threads)
    zip_kernel(const A* a, const B* b, int64_t n, B* out) {
  const int64_t first = int64_t{blockIdx.x} * element_threads + threadIdx.x;
  const int64_t step = int64_t{gridDim.x} * element_threads;
  const int64_t whole = n / element_width;
  for (int64_t i = first; i < whole; i += step) {
    const int64_t at = i * element_width;
    put_zipped<Function, A, B, element_width>(a + at, b + at, out + at);
  }
  const int64_t rest = whole * element_width + first;
  if (rest < n) put_zipped<Function, A, B, 1>(a + rest, b + rest, out + rest);
}

/// Calls body with the array's data as float* or BFloat16*.
template <class Body>
void with_type(Activations array, const Body& body) {
  if (array.precision == Precision::bf16) {
    body(static_cast<BFloat16*>(array.data));
  } else {
    body(static_cast<float*>(array.data));
  }
}

/// Returns the grid for kernels over n elements.
inline dim3 element_grid(int64_t n) {
  return striding_grid(divide_up(n, element_threads * element_width));
}

/// Enqueues out = f(a), n elements. `a` and `out` must have the same precision, and may be the same
/// array. `name` is the kernel's in errors.
template <class Function>
void map_elements(const char* name, Activations a, int64_t n, Activations out, Stream stream) {
  if (n == 0) return;
  with_type(a, [&]<class T>(T* from) {
    launch(name, map_kernel<Function, T, T>, element_grid(n), element_threads, 0, stream, from, n,
           static_cast<T*>(out.data));
  });
}

/// Enqueues out = f(a, b), n elements. `b` and `out` must have the same precision, and may be the
/// same array; `a` may have another precision.
template <class Function>
void zip_elements(const char* name, Activations a, Activations b, int64_t n, Activations out,
                  Stream stream) {
  if (n == 0) return;
  with_type(a, [&]<class A>(A* left) {
    with_type(b, [&]<class B>(B* right) {
      launch(name, zip_kernel<Function, A, B>, element_grid(n), element_threads, 0, stream, left,
             right, n, static_cast<B*>(out.data));
    });
  });
}

}  // namespace hardmoe::cuda
