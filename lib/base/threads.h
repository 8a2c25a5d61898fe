// Data-parallel loops over the machine's cores (OpenMP, the pool that oneDNN uses too). Not for
// background work such as loading, which has its own std::threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hardmoe {

/// Returns the threads of a parallel loop: the processors this process may run on, unless set.
int compute_threads();
/// Returns the number of processors this process may run on.
int available_processors();
/// Returns the machine's memory in bytes.
int64_t machine_memory();
/// Sets the threads of parallel loops. Throws Error(usage) unless 1 ≤ count ≤ 1024.
void set_compute_threads(int count);

/// Calls body(begin, end) for disjoint ranges that cover [0, n): at most one range a thread, each
/// at least `grain` long. Ranges depend on n and the thread count only. body must not throw.
template <class Body>
void parallel_for(int64_t n, int64_t grain, const Body& body) {
  if (n <= 0) return;
  const int64_t ranges = std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, compute_threads());
  if (ranges == 1) {
    body(int64_t{0}, n);
    return;
  }
#pragma omp parallel for num_threads(static_cast <int>(ranges)) schedule(static, 1)
  for (int64_t range = 0; range < ranges; ++range) {
    body(n * range / ranges, n * (range + 1) / ranges);
  }
}

}  // namespace hardmoe
