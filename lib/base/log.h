// Messages on standard error, for people or as JSON lines for programs, and how far a command is. Not
// for a command's results, which go to standard output.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

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

/// Returns whether messages are JSON. May be called by a signal handler.
bool log_is_json();

/// Writes one line, unless the level is below the set one. Warnings begin with "warning: ".
void log_line(LogLevel level, std::string_view text);

/// Writes why `program` ends without a result, whatever the level, and tells a listener
/// (base/tell.h). Never throws.
void log_failure(std::string_view program, std::string_view text);

/// Returns this process's warnings so far, including dropped ones.
std::vector<std::string> warnings_so_far();

/// Writes an object as a message of the level info, with time and level; for progress as JSON.
void log_progress_object(Json object);

template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}

/// How progress is told: not at all, by a line of a terminal that is written over, by a message now
/// and then, or by JSON objects.
enum class ProgressForm { none, bar, lines, json };

/// Returns how progress is told by this process.
ProgressForm progress_form();

/// Writes over the line that tells progress on a terminal, cut to the terminal's width. The next
/// message takes its place.
void show_progress_line(std::string_view text);
/// Removes that line.
void clear_progress_line();

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

/// Decides when the next sign of progress is due.
class ProgressTimes {
 public:
  /// Returns whether one is due so many seconds after the beginning, in this form; then it counts as
  /// told. `last`: nothing comes after it.
  bool due(ProgressForm form, double seconds, bool last);

 private:
  double told_ = 0;
  SparseTimes times_;
};

/// How far a command is, with rate and remaining time: a bar on one line of a terminal; elsewhere,
/// and on a terminal that TERM calls dumb, lines at SparseTimes. As JSON an object every 10 seconds
/// and one at the end. A listener (base/tell.h) gets such objects five times a second.
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
  std::string what_;
  long long total_, start_;
  double start_seconds_;
  double last_sent_ = 0;  ///< to a listener, seconds after start_seconds_
  ProgressTimes times_;
  ProgressForm form_;
};

/// Returns a monotonic clock's time in seconds.
double now_seconds();

}  // namespace hardmoe
