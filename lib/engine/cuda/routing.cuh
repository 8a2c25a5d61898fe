// A routing (engine/ops/routing.h) as a GPU's kernels read it.
#pragma once

#include <cuda_runtime.h>

#include "engine/cuda/kernels.h"
#include "engine/ops/routing.h"

namespace hardmoe::cuda {

/// Where a routing lies on the device.
struct Routing {
  const int32_t* data;
  RoutingLayout layout;

  __device__ __forceinline__ int64_t first(int64_t expert) const { return data[expert]; }
  __device__ __forceinline__ int64_t rows(int64_t expert) const {
    return data[expert + 1] - data[expert];
  }
  /// Returns how many routed rows are used.
  __device__ __forceinline__ int64_t used() const { return data[layout.experts]; }
  /// Returns a row's routed row of choice number `choice`; −1: it has fewer.
  __device__ __forceinline__ int64_t slot(int64_t row, int64_t choice) const {
    return data[layout.slots() + row * layout.chosen + choice];
  }
  /// Returns the row that a used routed row was made from.
  __device__ __forceinline__ int64_t source(int64_t routed) const {
    return data[layout.sources() + routed];
  }
  /// Returns the expert whose a used routed row is: the last whose range begins at or before it, and
  /// that has rows.
  __device__ __forceinline__ int64_t expert_of(int64_t routed) const {
    int64_t low = 0, high = layout.experts - 1;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (data[middle + 1] > routed) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }
};

}  // namespace hardmoe::cuda
