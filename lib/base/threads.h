// Data-parallel loops over the machine's cores (OpenMP underneath, the pool oneDNN uses too).
// Not for background work such as loading: that has its own std::threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace hardmoe {

/// Threads a parallel loop uses: the processors this process may run on, unless set.
int compute_threads();
/// Processors this process may run on.
int available_processors();
/// Bytes of the machine's memory.
int64_t machine_memory();
/// Throws Error(usage) unless 1 ≤ count ≤ 1024.
void set_compute_threads(int count);

/// Calls body(begin, end) on disjoint ranges that cover [0, n), one range a thread at most, each at
/// least `grain` long. Ranges depend on n and the thread count only. body must not throw.
template <class Body>
void parallel_for(int64_t n, int64_t grain, const Body& body) {
  if (n <= 0) return;
  const int64_t parts = std::clamp<int64_t>(n / std::max<int64_t>(grain, 1), 1, compute_threads());
  if (parts == 1) {
    body(int64_t{0}, n);
    return;
  }
#pragma omp parallel for num_threads(static_cast <int>(parts)) schedule(static, 1)
  for (int64_t part = 0; part < parts; ++part) {
    body(n * part / parts, n * (part + 1) / parts);
  }
}

}  // namespace hardmoe
