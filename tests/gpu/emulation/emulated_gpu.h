// What a test may ask of the GPU in emulated_gpu.cpp.
#pragma once

#include <cstdint>

namespace cuda_emulation {

/// Of GPUs made from now on.
struct GpuOptions {
  bool hasty_copies = false;  ///< the queue of copies does everything at once, see streams.h
  bool offers_sums = false;   ///< convolutions that leave their output's sums are fast
  int64_t memory = int64_t{1} << 40;
  int64_t busy_when_asked = 0;  ///< not in free_bytes(), but given to who asks for memory
};
GpuOptions& gpu_options();

struct GpuCounts {
  int64_t allocations = 0;  ///< of any kind of memory, events, graphs
  int64_t bytes = 0;        ///< of device memory, held now
  int64_t graph_launches = 0;
  int64_t convolutions_with_sums = 0;  ///< planned
};
GpuCounts& gpu_counts();

}  // namespace cuda_emulation
