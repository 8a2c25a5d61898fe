// How a block of threads lies on a rows×C array: `columns` accesses side by side (up to 512 bytes
// of a row), `lanes` rows below one another. Narrow arrays take many rows at a time, so that a warp
// reads contiguous memory at every width. And the sum over a block's lanes, in a fixed order.
#pragma once

#include "engine/cuda/kernels.h"
#include "gpu/launch.cuh"

namespace hardmoe::cuda {

inline constexpr int tile_threads = 256;

struct Tiles {
  int columns = 1;
  int lanes = 1;
  int chunks = 1;  ///< blocks side by side: gridDim.x
  int parts = 1;   ///< blocks below one another: gridDim.y

  dim3 grid() const { return dim3(static_cast<unsigned>(chunks), static_cast<unsigned>(parts)); }
};

/// Tiles for rows of `accesses` accesses. About `most_blocks` blocks, each with at least `depth`
/// rows a lane.
inline Tiles make_tiles(int64_t rows, int64_t accesses, int64_t most_blocks, int64_t depth,
                        int64_t widest = 32) {
  const int64_t chunks = divide_up(accesses, widest);
  const int64_t columns = divide_up(accesses, chunks);
  const int64_t lanes = tile_threads / columns;
  int64_t parts = most_blocks / chunks;
  if (parts > divide_up(rows, lanes * depth)) parts = divide_up(rows, lanes * depth);
  if (parts < 1) parts = 1;
  if (parts > 65535) parts = 65535;
  return {static_cast<int>(columns), static_cast<int>(lanes), static_cast<int>(chunks),
          static_cast<int>(parts)};
}

/// A thread's place in its tile. `inside`: it has work.
struct Place {
  int lane;
  int64_t channel;  ///< first of its access
  int64_t row;      ///< its first
  int64_t step;     ///< to its next row
  bool inside;
};
__device__ __forceinline__ Place place_in(const Tiles& tiles, int width, int64_t channels) {
  const int thread = static_cast<int>(threadIdx.x);
  const int column = thread % tiles.columns;
  const int lane = thread / tiles.columns;
  const int64_t channel = (int64_t{blockIdx.x} * tiles.columns + column) * width;
  return {lane, channel, int64_t{blockIdx.y} * tiles.lanes + lane, int64_t{gridDim.y} * tiles.lanes,
          lane < tiles.lanes && channel < channels};
}

/// Shared memory of sum_over_lanes for K sums a thread.
inline size_t lane_sum_bytes(int sums) {
  return sizeof(float) * tile_threads * static_cast<size_t>(sums);
}

/// Adds the K sums of all lanes of a column up in lane 0. Every thread of the block calls it.
template <int K>
__device__ __forceinline__ void sum_over_lanes(const Tiles& tiles, int lane, float (&sums)[K]) {
  float* shared = reinterpret_cast<float*>(dynamic_shared);
  const int thread = static_cast<int>(threadIdx.x);
  for (int n = tiles.lanes; n > 1;) {
    const int half = (n + 1) / 2;
    if (lane >= half && lane < n) {
#pragma unroll
      for (int k = 0; k < K; ++k)
        shared[k * tile_threads + thread - half * tiles.columns] = sums[k];
    }
    __syncthreads();
    if (lane + half < n) {
#pragma unroll
      for (int k = 0; k < K; ++k) sums[k] += shared[k * tile_threads + thread];
    }
    __syncthreads();
    n = half;
  }
}

}  // namespace hardmoe::cuda
