// Communication among the processes that train one network together. Every call is collective (all
// processes make it, in the same order) and works in place on memory of the program's device; on a
// GPU it is enqueued on the given queue.
#pragma once

#include <cstdint>
#include <memory>

namespace hardmoe {

/// The queue in which a device does its work in order: a GPU's CUDA stream; null on the CPU.
using DeviceQueue = void*;

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;  ///< of this process: 0 … size−1
  virtual int size() const = 0;
  /// Sums `count` values over all processes; each process gets the same bits.
  virtual void all_reduce(float* values, int64_t count, DeviceQueue queue) = 0;
  /// Gathers a block of `count` values from each process: `values` (size()×count) holds block r of
  /// process r afterwards. Before the call a process has written its own block at its rank.
  virtual void all_gather(float* values, int64_t count, DeviceQueue queue) = 0;
  /// Sends block r of `values` (size()×count) to process r; afterwards block r is what process r
  /// sent.
  virtual void all_to_all(float* values, int64_t count, DeviceQueue queue) = 0;
};

/// Returns the communicator of a single process: every call leaves the values as they are.
std::shared_ptr<Communicator> self_communicator();

}  // namespace hardmoe
