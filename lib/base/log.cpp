#include "base/log.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

#include "base/json_line.h"

namespace hardmoe {
namespace {
std::atomic<LogLevel> current_level{LogLevel::info};
std::atomic<LogFormat> current_format{LogFormat::text};
std::atomic<bool> bar_is_drawn{false};
std::mutex warnings_mutex;
std::vector<std::string> warnings;

constexpr const char* clear_line = "\r\033[K";
constexpr double bar_seconds = 0.1, json_seconds = 10;  // at least, between two of them

/// Returns whether standard error is a terminal on which a line can be written over.
bool on_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && (kind == nullptr || std::string_view(kind) != "dumb");
}

/// Writes in one call, so that lines of several threads stay whole. Unlike fmt::print it does not
/// throw where nobody reads.
void write_error(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stderr); }

/// Returns "2026-01-31T23:59:59.123Z".
std::string time_of_day() {
  const auto now = std::chrono::system_clock::now();
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(now)), since.count() % 1000);
}

Json message_object(const char* level, std::string_view text) {
  return {{"time", time_of_day()}, {"level", level}, {"message", text}};
}

void write_object(const Json& object) { write_error(json_line(object)); }

}  // namespace

void set_log_level(LogLevel level) { current_level = level; }

void set_log_format(LogFormat format) { current_format = format; }

void log_line(LogLevel level, std::string_view text) {
  const bool warns = level == LogLevel::warning;
  if (warns) {
    const std::lock_guard lock(warnings_mutex);
    warnings.emplace_back(text);
  }
  if (level > current_level.load()) return;
  if (current_format.load() == LogFormat::json) {
    return write_object(message_object(warns ? "warning" : "info", text));
  }
  write_error(fmt::format("{}{}{}\n", bar_is_drawn.exchange(false) ? clear_line : "",
                          warns ? "warning: " : "", text));
}

void log_failure(std::string_view program, std::string_view text) {
  if (current_format.load() == LogFormat::text) {
    return write_error(fmt::format("{}: {}\n", program, text));
  }
  Json object = message_object("error", text);
  object["command"] = program;
  write_object(object);
}

std::vector<std::string> warnings_so_far() {
  const std::lock_guard lock(warnings_mutex);
  return warnings;
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool SparseTimes::due(double seconds) {
  if (seconds < next_) return false;
  interval_ = std::min(1.5 * interval_, 600.0);
  next_ = seconds + interval_;
  return true;
}

Progress::Progress(std::string_view what, long long total, long long start)
    : what_(what), total_(total), start_(start), start_seconds_(now_seconds()) {
  if (current_level.load() != LogLevel::info) return;
  form_ = current_format.load() == LogFormat::json ? Form::json
          : on_terminal()                          ? Form::bar
                                                   : Form::lines;
}

Progress::~Progress() {
  if (form_ == Form::bar && bar_is_drawn.exchange(false)) std::fputs(clear_line, stderr);
}

bool Progress::due(long long position, double elapsed) {
  if (form_ == Form::none) return false;
  if (form_ == Form::lines) return times_.due(elapsed);
  const double least = form_ == Form::bar ? bar_seconds : json_seconds;
  if (elapsed - last_told_ < least && position < total_) return false;
  last_told_ = elapsed;
  return true;
}

void Progress::update(long long position, std::string_view note,
                      std::initializer_list<ProgressValue> values) {
  const double elapsed = now_seconds() - start_seconds_;
  if (!due(position, elapsed)) return;
  const double rate = elapsed > 0 ? static_cast<double>(position - start_) / elapsed : 0;
  const double left = rate > 0 ? static_cast<double>(total_ - position) / rate : 0;
  const std::string numbers =
      fmt::format("{}/{}  {:.0f}/s  {:.0f} s left  {}", position, total_, rate, left, note);
  if (form_ == Form::lines) return log_line(LogLevel::info, fmt::format("{} {}", what_, numbers));
  if (form_ == Form::json) {
    Json object = message_object("info", what_);
    object.update({{"done", position}, {"total", total_}, {"rate", rate}, {"seconds_left", left}});
    for (const auto& [name, value] : values) {
      if (std::isfinite(value)) object[name] = value;
    }
    return write_object(object);
  }
  const double share = total_ > 0 ? static_cast<double>(position) / static_cast<double>(total_) : 1;
  constexpr int width = 24;
  const int filled = static_cast<int>(share * width);
  write_error(fmt::format("{}{} [{:#<{}}{:.<{}}] {}", clear_line, what_, "", filled, "",
                          width - filled, numbers));
  std::fflush(stderr);
  bar_is_drawn = true;
}

}  // namespace hardmoe
