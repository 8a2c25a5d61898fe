// What training reports as it goes: a line of log.jsonl and scalars for TensorBoard.
#pragma once

#include <filesystem>

#include "base/append_file.h"
#include "base/json.h"
#include "train/event_file.h"

namespace hardmoe {

class MetricsLog {
 public:
  /// Continues log.jsonl and the event files in `folder`, dropping what is past `from_step`, which
  /// a resumed run writes again; from step 0 it begins anew.
  MetricsLog(const std::filesystem::path& folder, int64_t from_step);
  /// `line` must hold "step"; its other numbers become TensorBoard scalars too.
  void write(const Json& line);
  /// Puts all of it on the disk for good: before a checkpoint after which it is not written again.
  void sync();

 private:
  std::filesystem::path file_;
  AppendFile lines_;
  EventFile events_;
};

}  // namespace hardmoe
