// Messages on standard error, for people or as JSON lines for programs, and how far a command is. Not
// for a command's results, which go to standard output.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hardmoe {

/// How important a message is.
enum class LogLevel { quiet, warning, info };

/// Sets the level below which messages are dropped; initially `info`.
void set_log_level(LogLevel level);

/// How messages are written.
enum class LogFormat {
  text,
  json,  ///< an object a line: time (UTC, ISO 8601), level, message; of progress also its numbers
};

/// Sets the form of all later messages; initially `text`.
void set_log_format(LogFormat format);

/// Writes one line, unless the level is below the set one. Warnings begin with "warning: ".
void log_line(LogLevel level, std::string_view text);

/// Writes why `program` ends without a result, whatever the level. Never throws.
void log_failure(std::string_view program, std::string_view text);

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

/// When progress is told by lines: after 10 seconds, then at intervals that grow by half, up to 10
/// minutes.
class SparseTimes {
 public:
  /// Returns whether a line is due so many seconds after the beginning; then it counts as written.
  bool due(double seconds);

 private:
  double interval_ = 10, next_ = 10;
};

/// A number that is told beside progress, such as {"loss", 2.3}; left out while it is NaN.
struct ProgressValue {
  const char* name;
  double value;
};

/// How far a command is, with rate and remaining time: a bar on one line of a terminal; elsewhere,
/// and on a terminal that TERM calls dumb, lines at SparseTimes. As JSON an object every 10 seconds
/// and one at the end.
class Progress {
 public:
  /// `start`: the position at which this process began, left out of the rate.
  Progress(std::string_view what, long long total, long long start = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Sets the position; redraws at most ten times a second. `note` is shown at the line's end,
  /// `values` are members of a JSON object.
  void update(long long position, std::string_view note = {},
              std::initializer_list<ProgressValue> values = {});

 private:
  enum class Form { none, bar, lines, json };
  bool due(long long position, double elapsed);

  std::string what_;
  long long total_, start_;
  double start_seconds_;
  double last_told_ = 0;  ///< seconds after start_seconds_
  SparseTimes times_;
  Form form_ = Form::none;
};

/// Returns a monotonic clock's time in seconds.
double now_seconds();

}  // namespace hardmoe
