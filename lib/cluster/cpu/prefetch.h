// A hint to fetch values into the processor's cache while something else is computed.
#pragma once

#include <cstdint>

namespace hardmoe::cpu {

/// Asks the processor to fetch `count` values that are read soon.
inline void prefetch(const float* values, int64_t count) {
  constexpr int64_t line = 16;  // values in 64 bytes
  for (int64_t d = 0; d < count; d += line) __builtin_prefetch(values + d, 0, 2);
}

}  // namespace hardmoe::cpu
