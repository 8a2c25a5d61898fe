#include "engine/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace hardmoe {

MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes) {
  constexpr int64_t alignment = 64;
  const auto rounded = [](int64_t bytes) {
    return (bytes + alignment - 1) / alignment * alignment;
  };
  std::vector<size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });

  MemoryPlan plan{std::vector<int64_t>(lifetimes.size(), 0), 0};
  std::vector<size_t> placed;
  for (const size_t item : order) {
    const Lifetime& life = lifetimes[item];
    std::vector<size_t> rivals;  // already placed and alive at the same time, by offset
    for (const size_t other : placed) {
      if (lifetimes[other].first <= life.last && life.first <= lifetimes[other].last) {
        rivals.push_back(other);
      }
    }
    std::sort(rivals.begin(), rivals.end(),
              [&](size_t a, size_t b) { return plan.offsets[a] < plan.offsets[b]; });
    int64_t offset = 0;
    for (const size_t rival : rivals) {
      if (offset + rounded(life.bytes) <= plan.offsets[rival]) break;
      offset = std::max(offset, plan.offsets[rival] + rounded(lifetimes[rival].bytes));
    }
    plan.offsets[item] = offset;
    plan.total_bytes = std::max(plan.total_bytes, offset + rounded(life.bytes));
    placed.push_back(item);
  }
  return plan;
}

}  // namespace hardmoe
