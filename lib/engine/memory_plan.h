// Places all temporaries in one arena, given when each is first and last used: two that are never
// alive at the same time may share bytes. Arithmetic only; allocates nothing.
#pragma once

#include <cstdint>
#include <vector>

namespace hardmoe {

/// A temporary alive from step `first` to step `last`, both included.
struct Lifetime {
  int64_t bytes;
  int first;
  int last;
};

struct MemoryPlan {
  std::vector<int64_t> offsets;  ///< by temporary: bytes from the arena's start, multiples of 64
  int64_t total_bytes = 0;       ///< of the arena
};

/// Returns a plan: the largest temporary is placed first, each at the lowest offset that is free
/// over its whole lifetime. The same input gives the same plan.
MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes);

}  // namespace hardmoe
