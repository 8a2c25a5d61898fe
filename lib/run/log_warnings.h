// Repeats the warnings that a running stage writes to its log, because people watch the run's
// terminal, not the logs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace hardmoe {

/// The warnings in one log.
class LogWarnings {
 public:
  /// Considers what the process `name` appends to `log` from now on.
  LogWarnings(std::string name, std::filesystem::path log);

  /// Repeats each new warning in the log once, as a warning of this process that begins with the
  /// name. A warning is a line of log_warning with the list below it (indented_list). Unless
  /// `ended`, a last warning that may be incomplete waits for the next call. Ignores a log that
  /// cannot be read.
  void repeat(bool ended);

 private:
  std::string name_;
  std::filesystem::path log_;
  uintmax_t repeated_ = 0;  ///< bytes of the log whose warnings were repeated
  uintmax_t seen_ = 0;      ///< the log's size at the last call
  int unchanged_ = 0;       ///< calls since the log grew
};

}  // namespace hardmoe
