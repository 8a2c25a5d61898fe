#include "engine/cpu/taps.h"

namespace hardmoe::cpu {

std::vector<Tap> joined_positions(const Window& window, const Extent& in, const Extent& out) {
  std::vector<Tap> taps;
  for (int64_t output = 0; output < out.height * out.width; ++output) {
    for (int64_t tap = 0; tap < int64_t{window.kernel} * window.kernel; ++tap) {
      const int64_t y = output / out.width * window.stride + tap / window.kernel - window.padding;
      const int64_t x = output % out.width * window.stride + tap % window.kernel - window.padding;
      if (y < 0 || y >= in.height || x < 0 || x >= in.width) continue;
      taps.push_back({output, y * in.width + x, tap});
    }
  }
  return taps;
}

}  // namespace hardmoe::cpu
