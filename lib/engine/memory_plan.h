// Where each temporary lives in one arena, from when it is first and last used: two that are never
// alive together may share bytes. Host-side arithmetic only.
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
  std::vector<int64_t> offsets;  ///< of each temporary, 64-byte aligned
  int64_t total_bytes = 0;
};

/// Largest first, each at the lowest offset free over its whole lifetime. The same input gives the
/// same plan.
MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes);

}  // namespace hardmoe
