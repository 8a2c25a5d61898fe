// What a test may ask of the device in emulated_device.cpp.
#pragma once

#include <cstdint>

namespace cuda_emulation {

/// Memory that devices have, all of it free.
inline int64_t memory_bytes = int64_t{1} << 40;

}  // namespace cuda_emulation
