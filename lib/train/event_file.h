// TensorBoard event files: scalars by step, as `tensorboard --logdir` reads them. TFRecord framing
// with masked CRC-32C around protocol-buffer Event messages (tensorflow/core/util/event.proto).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/append_file.h"

namespace hardmoe {

/// Appends scalars to one event file.
class EventFile {
 public:
  /// Creates events.out.tfevents.<seconds>.<process> in `folder`. From step `from_step` on,
  /// TensorBoard shows its values instead of an earlier file's.
  explicit EventFile(const std::filesystem::path& folder, int64_t from_step = 0);
  /// Adds one value of the curve `tag`.
  void scalar(const std::string& tag, int64_t step, float value);
  /// Hands what was added to the system, for TensorBoard to read.
  void flush() { out_.flush(); }
  /// Puts what was added on the disk.
  void sync() { out_.sync(); }

 private:
  void record(const std::string& event);
  AppendFile out_;
};

}  // namespace hardmoe
