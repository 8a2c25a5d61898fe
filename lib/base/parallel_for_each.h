// A loop over few pieces of work of unequal size, which the threads take one by one. For even loops
// over many: parallel_for() (base/threads.h).
#pragma once

#include <cstdint>

#include "base/threads.h"

namespace hardmoe {

/// Calls body(i) for each i in [0, n), in any order. Loops inside of body run on its thread alone.
/// body must not throw.
template <class Body>
void parallel_for_each(int64_t n, const Body& body) {
#pragma omp parallel for num_threads(compute_threads()) schedule(dynamic, 1)
  for (int64_t i = 0; i < n; ++i) body(i);
}

}  // namespace hardmoe
