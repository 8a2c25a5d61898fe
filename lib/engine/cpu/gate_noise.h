// Visits the noise of a program's step on the CPU.
#pragma once

#include <algorithm>

#include "base/threads.h"
#include "engine/gate_noise.h"

namespace hardmoe::cpu {

/// Calls body(i, the noise of element i) for elements 0 … n−1, in parallel.
template <class Body>
void for_noise(const NoiseKey& key, int64_t n, const Body& body) {
  constexpr int64_t grain = 1 << 10;
  parallel_for((n + 3) / 4, grain, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const NoiseBlock noise = noise_block(key, static_cast<uint32_t>(block));
      for (int64_t i = 4 * block; i < std::min(n, 4 * block + 4); ++i) {
        body(i, noise.values[i % 4]);
      }
    }
  });
}

}  // namespace hardmoe::cpu
