// Which of a convolution's taps do anything on a small map: for each position of the output and
// each of the input, the one tap that joins them. On a 2×2 map a padded 3×3 window reaches all
// four inputs from every output, through four of its nine taps; the other five multiply padding.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/ops/operator.h"

namespace hardmoe::cpu {

struct Tap {
  int64_t output, input;  ///< positions, row by row
  int64_t tap;            ///< row·kernel + column of the window
};

/// Every pair that some tap joins, by output, then tap.
std::vector<Tap> joined_positions(const Window& window, const Extent& in, const Extent& out);

}  // namespace hardmoe::cpu
