// moe-device: the devices of this machine that --device may name, and the precisions each can train
// in.
#pragma once

#include <filesystem>
#include <string>

namespace hardmoe {

/// What moe-device is to do.
struct DevicesTask {
  std::string device;  ///< only this one: cpu, cuda or cuda:N; empty: all
  /// Write cuDNN's description of the GPU `device` (cuda if that is empty) here; empty: nowhere.
  std::filesystem::path description;
  bool measure = false;  ///< train for some seconds in each precision, and tell how fast that is
  bool json = false;     ///< return JSON, not a table
};

/// Returns the processor, the GPUs with their memory, the precisions each can train in, and the
/// versions of driver and libraries. Throws Error(usage) if the machine lacks the device.
std::string list_devices(const DevicesTask& task);

}  // namespace hardmoe
