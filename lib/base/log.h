// Messages for people, on stderr. Results of a command go to stdout instead.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hardmoe {

enum class LogLevel { quiet, warning, info };

/// Messages below this level are dropped; `info` at start.
void set_log_level(LogLevel level);

void log_line(LogLevel level, std::string_view text);

/// This process's warnings so far, also those that the level dropped.
std::vector<std::string> warnings_so_far();

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}

/// A one-line progress bar with rate and ETA on a terminal; silent when stderr is not one.
class Progress {
 public:
  /// `start`: what was done before, which says nothing about the rate.
  Progress(std::string_view what, long long total, long long start = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Sets the absolute position; redraws at most ten times a second. `note` is shown at the end.
  void update(long long position, std::string_view note = {});

 private:
  std::string what_;
  long long total_, start_;
  double start_seconds_;
  double last_draw_ = 0;
  bool enabled_;
};

/// Monotonic clock in seconds.
double now_seconds();

}  // namespace hardmoe
