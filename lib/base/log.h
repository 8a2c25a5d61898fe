// Messages for people, on standard error, and a progress bar. Not for a command's results, which go
// to standard output.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hardmoe {

/// How important a message is.
enum class LogLevel { quiet, warning, info };

/// Sets the level below which messages are dropped; initially `info`.
void set_log_level(LogLevel level);

/// Writes one line, unless the level is below the set one. Warnings begin with "warning: ".
void log_line(LogLevel level, std::string_view text);

/// Returns this process's warnings so far, including dropped ones.
std::vector<std::string> warnings_so_far();

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}

/// A one-line progress bar with rate and remaining time on a terminal; silent elsewhere.
class Progress {
 public:
  /// `start`: the position at which this process began, left out of the rate.
  Progress(std::string_view what, long long total, long long start = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Sets the position; redraws at most ten times a second. `note` is shown at the line's end.
  void update(long long position, std::string_view note = {});

 private:
  std::string what_;
  long long total_, start_;
  double start_seconds_;
  double last_draw_ = 0;
  bool enabled_;
};

/// Returns a monotonic clock's time in seconds.
double now_seconds();

}  // namespace hardmoe
