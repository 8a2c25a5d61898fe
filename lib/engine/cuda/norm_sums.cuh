// The second level of the norms' sums: what blocks left, [part][2][channel], added up in double, 8
// channels a block.
#pragma once

#include "engine/cuda/pack.cuh"
#include "engine/cuda/tiles.cuh"

namespace hardmoe::cuda {

inline constexpr int sum_channels = 8;  // a block: 32 bytes of each part's row
inline constexpr int sum_lanes = tile_threads / sum_channels;
inline constexpr size_t channel_sum_bytes = 2 * tile_threads * sizeof(double);

inline dim3 channel_sum_grid(int64_t channels) {
  return dim3(static_cast<unsigned>(divide_up(channels, sum_channels)));
}

/// Blocks a multiprocessor holds, by their registers. A reduction starts that many, one wave.
inline constexpr int statistics_blocks = 3;
inline constexpr int backward_blocks = 2;

inline Tiles reduction_tiles(int64_t rows, int64_t accesses, int blocks) {
  return make_tiles(rows, accesses, blocks * multiprocessors(), 4);
}

/// Elementwise passes: several waves, so that a slow block holds nobody up for long.
inline Tiles apply_tiles(int64_t rows, int64_t accesses) {
  return make_tiles(rows, accesses, 12 * multiprocessors(), 4);
}

/// Leaves a column's sums as its part's: the first V of one kind, then V of the other.
template <int V>
__device__ __forceinline__ void leave_sums(const float (&sums)[2 * V], int64_t channel,
                                           int64_t channels, float* partials) {
  float* row = partials + int64_t{blockIdx.y} * 2 * channels + channel;
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    float kind[V];
#pragma unroll
    for (int i = 0; i < V; ++i) kind[i] = sums[k * V + i];
    store(row + k * channels, kind);
  }
}

struct ChannelSums {
  int64_t channel;
  double first, second;
  bool complete;  ///< in one thread a channel
};

/// Every thread of the block calls it.
__device__ __forceinline__ ChannelSums channel_sums(const float* partials, int parts,
                                                    int64_t channels) {
  double* shared = reinterpret_cast<double*>(dynamic_shared);
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread / sum_channels;
  const int64_t channel = int64_t{blockIdx.x} * sum_channels + thread % sum_channels;
  double first = 0, second = 0;
  if (channel < channels) {
#pragma unroll 4
    for (int part = lane; part < parts; part += sum_lanes) {
      const float* row = partials + int64_t{part} * 2 * channels + channel;
      first += static_cast<double>(row[0]);
      second += static_cast<double>(row[channels]);
    }
  }
  for (int half = sum_lanes / 2; half > 0; half /= 2) {
    if (lane >= half && lane < 2 * half) {
      shared[thread - half * sum_channels] = first;
      shared[tile_threads + thread - half * sum_channels] = second;
    }
    __syncthreads();
    if (lane < half) {
      first += shared[thread];
      second += shared[tile_threads + thread];
    }
    __syncthreads();
  }
  return {channel, first, second, lane == 0 && channel < channels};
}

}  // namespace hardmoe::cuda
