// moe-device: what --device may name on this machine, and in which precisions each can train.
#pragma once

#include <filesystem>
#include <string>

namespace hardmoe {

struct DevicesTask {
  std::string device;                 ///< this one alone: cpu, cuda or cuda:N; empty: all
  std::filesystem::path description;  ///< where to write cuDNN's description of a GPU; empty: no
  bool json = false;                  ///< return JSON, not a table
};

/// Returns the processor, the GPUs with their memory, what each can train in, and the versions of
/// driver and libraries. Throws Error(usage) for a device that is not here.
std::string list_devices(const DevicesTask& task);

}  // namespace hardmoe
