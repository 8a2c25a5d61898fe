// The processes that train one network together: what a step asks of them. Every call is collective
// (all processes make it, in the same order) and works in place on memory of the program's device;
// on a device with a queue of its own it is enqueued there.
#pragma once

#include <cstdint>
#include <memory>

namespace hardmoe {

/// The queue of a device that orders its work, as that device's engine passes it; null on the CPU.
using DeviceQueue = void*;

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;  ///< of this process: 0 … size−1
  virtual int size() const = 0;
  /// Sums `count` values over all processes; each gets the same bits.
  virtual void all_reduce(float* values, int64_t count, DeviceQueue queue) = 0;
  /// Gathers a block of `count` values from each process, in the order of ranks; a process's own
  /// block is in its place before.
  virtual void all_gather(float* values, int64_t count, DeviceQueue queue) = 0;
  /// Sends block r of `count` values to process r; afterwards block r is what process r sent.
  virtual void all_to_all(float* values, int64_t count, DeviceQueue queue) = 0;
};

/// One process alone: every call leaves the values as they are.
std::shared_ptr<Communicator> self_communicator();

}  // namespace hardmoe
