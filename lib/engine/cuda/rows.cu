#include "engine/cuda/rows.h"

#include "engine/cuda/elementwise.cuh"

namespace hardmoe::cuda {
namespace {

constexpr int width = element_width;

template <class T, int V>
__global__ void __launch_bounds__(element_threads)
    add_row_kernel(const T* x, const float* __restrict__ row, int64_t accesses, int64_t n, T* y) {
  const int64_t step = int64_t{gridDim.x} * element_threads;
  for (int64_t i = int64_t{blockIdx.x} * element_threads + threadIdx.x; i < accesses; i += step) {
    const int64_t at = i * V;
    float v[V], added[V];
    load(x + at, v);
    load(row + at % n, added);
#pragma unroll
    for (int k = 0; k < V; ++k) v[k] += added[k];
    store(y + at, v);
  }
}

}  // namespace

void add_row(Activations x, const float* row, int64_t rows, int64_t n, Activations y,
             Stream stream) {
  if (rows == 0) return;
  with_type(x, [&]<class T>(T* from) {
    T* to = static_cast<T*>(y.data);
    const dim3 grid = element_grid(rows * n);
    if (n % width == 0) {
      launch("add row", add_row_kernel<T, width>, grid, element_threads, 0, stream, from, row,
             rows * n / width, n, to);
    } else {
      launch("add row", add_row_kernel<T, 1>, grid, element_threads, 0, stream, from, row, rows * n,
             n, to);
    }
  });
}

}  // namespace hardmoe::cuda
