// What a test may ask of the emulation.
#pragma once

#include <cstdint>

namespace cuda_emulation {

/// In which order the threads of a block run from one barrier to the next, and the blocks of a grid
/// one after another. A kernel whose result depends on it has a race.
enum class Order { ascending, descending, shuffled };
void set_order(Order order);

/// How many barriers all launches so far have met.
int64_t barriers();

}  // namespace cuda_emulation
