// How fast a device trains in each of its precisions, measured: which is faster depends on the
// processor, not on the width of its numbers alone.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"

namespace hardmoe {

/// What device_speeds() trains, for people.
inline constexpr const char* measured_network = "ResNet-18 at 64 px, batches of 64";

struct PrecisionSpeed {
  Precision precision;
  double images_a_second;  ///< of training steps of random pixels in memory
};

/// Returns the speed in each precision that the engine's device trains in: medians of rounds of a
/// `round_seconds`, a step at least, in turn. Throws Error where the device lacks memory.
std::vector<PrecisionSpeed> device_speeds(Engine& engine, double round_seconds = 0.8);

/// Returns "fp32 740, bf16 790 images/s".
std::string speeds_text(const std::vector<PrecisionSpeed>& speeds);

}  // namespace hardmoe
