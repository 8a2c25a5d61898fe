// TensorBoard event files: scalars by step, as `tensorboard --logdir` reads them. TFRecord framing
// with masked CRC-32C around protocol-buffer Event messages (tensorflow/core/util/event.proto).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/append_file.h"

namespace hardmoe {

class EventFile {
 public:
  /// Creates events.out.tfevents.<seconds>.<process> in `folder`. Where an earlier file of the
  /// folder goes beyond `from_step`, TensorBoard shows this one's values instead.
  explicit EventFile(const std::filesystem::path& folder, int64_t from_step = 0);
  void scalar(const std::string& tag, int64_t step, float value);
  void flush() { out_.flush(); }
  void sync() { out_.sync(); }

 private:
  void record(const std::string& event);
  AppendFile out_;
};

}  // namespace hardmoe
