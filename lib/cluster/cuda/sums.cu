// Sums of rows by segment, of values, of products; centring.
#include "cluster/cuda/kernels.h"
#include "gpu/launch.cuh"

namespace hardmoe::cluster_cuda {
namespace {

using cuda::divide_up;
using cuda::dynamic_shared;
using cuda::launch;

constexpr int threads = 256;

__device__ __forceinline__ int64_t index() { return int64_t{blockIdx.x} * threads + threadIdx.x; }

/// The last i < count with begin[i] ≤ value; begin[0] ≤ value.
__device__ int64_t last_not_above(const int32_t* begin, int64_t count, int64_t value) {
  int64_t low = 0, high = count;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (begin[middle] <= value ? low : high) = middle;
  }
  return low;
}

__global__ void __launch_bounds__(threads)
    segment_begins_kernel(const uint16_t* __restrict__ sorted, int64_t count, int64_t clusters,
                          int32_t* __restrict__ begin) {
  const int64_t c = index();
  if (c > clusters) return;
  int64_t low = 0, high = count;  // the first that is c or more
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (sorted[middle] < c) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  begin[c] = static_cast<int32_t>(low);
}

/// A piece a block, a column a thread: its rows are read in whole lines.
__global__ void __launch_bounds__(threads)
    sum_pieces_kernel(const float* __restrict__ points, int64_t depth,
                      const int32_t* __restrict__ order, const int32_t* __restrict__ begin,
                      const int32_t* __restrict__ piece_begin, int64_t segments,
                      double* __restrict__ partial) {
  const int64_t piece = blockIdx.x;
  // Of segments without rows, which begin at the same piece, the last one has this piece.
  const int64_t segment = last_not_above(piece_begin, segments, piece);
  const int64_t first = begin[segment] + (piece - piece_begin[segment]) * piece_rows;
  const int64_t end = begin[segment + 1];
  const int64_t last = first + piece_rows < end ? first + piece_rows : end;
  for (int64_t d = threadIdx.x; d < depth; d += blockDim.x) {
    double sum = 0;
#pragma unroll 8
    for (int64_t i = first; i < last; ++i) {
      const int64_t row = order != nullptr ? order[i] : i;
      sum += static_cast<double>(points[row * depth + d]);
    }
    partial[piece * depth + d] = sum;
  }
}

__global__ void __launch_bounds__(threads)
    sum_segments_kernel(const double* __restrict__ partial, const int32_t* __restrict__ piece_begin,
                        int64_t segments, int64_t depth, double* __restrict__ sums) {
  const int64_t i = index();
  if (i >= segments * depth) return;
  const int64_t segment = i / depth;
  const int64_t d = i - segment * depth;
  double sum = 0;
  for (int64_t p = piece_begin[segment]; p < piece_begin[segment + 1]; ++p) {
    sum += partial[p * depth + d];
  }
  sums[i] = sum;
}

__global__ void __launch_bounds__(threads)
    sum_values_kernel(const float* __restrict__ values, int64_t count,
                      double* __restrict__ partial) {
  double* shared = reinterpret_cast<double*>(dynamic_shared);
  const int64_t first = int64_t{blockIdx.x} * values_a_sum;
  const int64_t last = first + values_a_sum < count ? first + values_a_sum : count;
  double sum = 0;
  for (int64_t i = first + threadIdx.x; i < last; i += threads) {
    sum += static_cast<double>(values[i]);
  }
  shared[threadIdx.x] = sum;
  for (int half = threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) {
      shared[threadIdx.x] += shared[threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) partial[blockIdx.x] = shared[0];
}

__global__ void __launch_bounds__(threads)
    centre_kernel(const float* __restrict__ points, const float* __restrict__ mean, int64_t rows,
                  int64_t padded_rows, int64_t depth, float* __restrict__ out) {
  const int64_t i = index();
  if (i >= padded_rows * depth) return;
  out[i] = i < rows * depth ? points[i] - mean[i % depth] : 0.0F;
}

__global__ void __launch_bounds__(threads)
    add_products_kernel(const float* __restrict__ products, int64_t count, int64_t size,
                        double* __restrict__ sums) {
  const int64_t i = index();
  if (i >= size) return;
  double sum = sums[i];
  for (int64_t b = 0; b < count; ++b) sum += static_cast<double>(products[b * size + i]);
  sums[i] = sum;
}

}  // namespace

void segment_begins(const uint16_t* sorted, int64_t count, int64_t clusters, int32_t* begin,
                    Stream stream) {
  launch("segment begins", segment_begins_kernel, divide_up(clusters + 1, threads), threads, 0,
         stream, sorted, count, clusters, begin);
}

void sum_pieces(const float* points, int64_t depth, const int32_t* order, const int32_t* begin,
                const int32_t* piece_begin, int64_t segments, int64_t pieces, double* partial,
                Stream stream) {
  const int width = depth <= 32 ? 32 : depth <= 64 ? 64 : depth <= 128 ? 128 : threads;
  launch("sum pieces", sum_pieces_kernel, pieces, width, 0, stream, points, depth, order, begin,
         piece_begin, segments, partial);
}

void sum_segments(const double* partial, const int32_t* piece_begin, int64_t segments,
                  int64_t depth, double* sums, Stream stream) {
  launch("sum segments", sum_segments_kernel, divide_up(segments * depth, threads), threads, 0,
         stream, partial, piece_begin, segments, depth, sums);
}

void sum_values(const float* values, int64_t count, double* partial, Stream stream) {
  launch("sum values", sum_values_kernel, divide_up(count, values_a_sum), threads,
         threads * sizeof(double), stream, values, count, partial);
}

void centre(const float* points, const float* mean, int64_t rows, int64_t padded_rows,
            int64_t depth, float* out, Stream stream) {
  launch("centre", centre_kernel, divide_up(padded_rows * depth, threads), threads, 0, stream,
         points, mean, rows, padded_rows, depth, out);
}

void add_products(const float* products, int64_t count, int64_t size, double* sums, Stream stream) {
  launch("add products", add_products_kernel, divide_up(size, threads), threads, 0, stream,
         products, count, size, sums);
}

}  // namespace hardmoe::cluster_cuda
