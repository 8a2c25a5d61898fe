// The log of a training run: lines of log.jsonl, and scalars for TensorBoard.
#pragma once

#include <filesystem>

#include "base/append_file.h"
#include "base/json.h"
#include "train/event_file.h"

namespace hardmoe {

/// Appends to a folder's log.
class MetricsLog {
 public:
  /// Continues log.jsonl and the event files in `folder`. Lines after `from_step` are dropped,
  /// since a resumed run writes them again; step 0 begins anew.
  MetricsLog(const std::filesystem::path& folder, int64_t from_step);
  /// Writes a line, which must hold "step"; its other numbers also become TensorBoard scalars.
  void write(const Json& line);
  /// Puts the log on the disk. Call it before a checkpoint, after which these lines are not written
  /// again.
  void sync();

 private:
  std::filesystem::path file_;
  AppendFile lines_;
  EventFile events_;
};

}  // namespace hardmoe
