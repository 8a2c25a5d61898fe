// What a test may ask of the emulation.
#pragma once

#include <cstdint>
#include <vector>

namespace cuda_emulation {

/// In which order the threads of a block run from one barrier to the next, and the blocks of a grid
/// one after another. A kernel whose result depends on it has a race.
enum class Order { ascending, descending, shuffled };
void set_order(Order order);

/// How many barriers all launches so far have met.
int64_t barriers();

/// While one exists, the GPU says that it has so many multiprocessors, and launches are only looked
/// at, not run: shapes of real networks would take minutes. What no GPU takes ends the program.
class LaunchesOnly {
 public:
  explicit LaunchesOnly(int multiprocessors);
  ~LaunchesOnly();
  LaunchesOnly(const LaunchesOnly&) = delete;
  LaunchesOnly& operator=(const LaunchesOnly&) = delete;

  /// Returns the blocks of each launch so far, in order.
  const std::vector<int64_t>& blocks() const;
};

}  // namespace cuda_emulation
