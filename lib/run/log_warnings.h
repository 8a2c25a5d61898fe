// What a running stage warns of, read from the log that it writes: a person sees the terminal of
// the run, not the logs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace hardmoe {

class LogWarnings {
 public:
  /// Of what is appended to `log` from now on, by a process called `name`.
  LogWarnings(std::string name, std::filesystem::path log);

  /// Repeats each warning that is new in the log as one of this process's, once, whole, with the
  /// name before it. A warning is a line of log_warning and the list below it (indented_list); the
  /// last is left for the next call if it may not be complete yet, unless `ended`. A log that
  /// cannot be read has none.
  void repeat(bool ended);

 private:
  std::string name_;
  std::filesystem::path log_;
  uintmax_t repeated_ = 0;  ///< bytes of the log
  uintmax_t seen_ = 0;      ///< its size at the last call
  int unchanged_ = 0;       ///< calls since it grew
};

}  // namespace hardmoe
