#include "base/log.h"

#include <fmt/chrono.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

#include "base/display_width.h"
#include "base/json_line.h"
#include "base/printable.h"
#include "base/tell.h"

namespace hardmoe {
namespace {
std::atomic<LogLevel> current_level{LogLevel::info};
std::atomic<LogFormat> current_format{LogFormat::text};
std::atomic<bool> bar_is_drawn{false};
std::mutex warnings_mutex;
std::vector<std::string> warnings;

constexpr const char* clear_line = "\r\033[K";
// At least, between two of them.
constexpr double bar_seconds = 0.1, json_seconds = 10, listener_seconds = 0.2;

/// Returns whether standard error is a terminal on which a line can be written over.
bool on_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && (kind == nullptr || std::string_view(kind) != "dumb");
}

/// Returns as much of the text as has at most so many columns, whole characters.
std::string_view beginning_of(std::string_view text, size_t columns) {
  if (text.size() <= columns) return text;
  size_t end = 0;
  for (size_t at = 1; at <= text.size(); ++at) {
    const bool between = at == text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80;
    if (!between) continue;
    if (display_width(text.substr(0, at)) > columns) break;
    end = at;
  }
  return text.substr(0, end);
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

bool log_is_json() { return current_format.load() == LogFormat::json; }

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
                          warns ? "warning: " : "", printable_lines(text)));
}

void log_progress_object(Json object) {
  Json stamped = {{"time", time_of_day()}, {"level", "info"}};
  for (auto& member : object.items()) stamped[member.key()] = std::move(member.value());
  write_object(stamped);
}

void log_failure(std::string_view program, std::string_view text) {
  tell_listener({{"level", "error"}, {"message", text}});
  if (current_format.load() == LogFormat::text) {
    return write_error(fmt::format("{}: {}\n", program, printable_lines(text)));
  }
  Json object = message_object("error", text);
  object["command"] = program;
  write_object(object);
}

std::vector<std::string> warnings_so_far() {
  const std::lock_guard lock(warnings_mutex);
  return warnings;
}

ProgressForm progress_form() {
  if (current_level.load() != LogLevel::info) return ProgressForm::none;
  if (current_format.load() == LogFormat::json) return ProgressForm::json;
  return on_terminal() ? ProgressForm::bar : ProgressForm::lines;
}

void show_progress_line(std::string_view text) {
  struct winsize size = {};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  if (known) text = beginning_of(text, size.ws_col - 1U);
  write_error(fmt::format("{}{}", clear_line, text));
  std::fflush(stderr);
  bar_is_drawn = true;
}

void clear_progress_line() {
  if (bar_is_drawn.exchange(false)) std::fputs(clear_line, stderr);
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

bool ProgressTimes::due(ProgressForm form, double seconds, bool last) {
  if (form == ProgressForm::none) return false;
  if (form == ProgressForm::lines) return times_.due(seconds);
  const double least = form == ProgressForm::bar ? bar_seconds : json_seconds;
  if (seconds - told_ < least && !last) return false;
  told_ = seconds;
  return true;
}

Progress::Progress(std::string_view what, long long total, long long start)
    : what_(what),
      total_(total),
      start_(start),
      start_seconds_(now_seconds()),
      form_(progress_form()) {}

Progress::~Progress() {
  if (form_ == ProgressForm::bar) clear_progress_line();
}

void Progress::update(long long position, std::string_view note,
                      std::initializer_list<ProgressValue> values) {
  const double elapsed = now_seconds() - start_seconds_;
  const bool last = position >= total_;
  const bool shown = times_.due(form_, elapsed, last);
  const bool sent = has_listener() && (last || elapsed - last_sent_ >= listener_seconds);
  if (!shown && !sent) return;
  const double rate = elapsed > 0 ? static_cast<double>(position - start_) / elapsed : 0;
  const double left = rate > 0 ? static_cast<double>(total_ - position) / rate : 0;
  Json object = {{"message", what_},
                 {"done", position},
                 {"total", total_},
                 {"rate", rate},
                 {"seconds_left", left}};
  for (const auto& [name, value] : values) {
    if (std::isfinite(value)) object[name] = value;
  }
  if (sent) {
    tell_listener(object);
    last_sent_ = elapsed;
  }
  if (!shown) return;
  if (form_ == ProgressForm::json) return log_progress_object(std::move(object));
  const std::string numbers =
      fmt::format("{}/{}  {:.0f}/s  {:.0f} s left  {}", position, total_, rate, left, note);
  if (form_ == ProgressForm::lines) return log_info("{} {}", what_, numbers);
  const double share = total_ > 0 ? static_cast<double>(position) / static_cast<double>(total_) : 1;
  constexpr int width = 24;
  const int filled = static_cast<int>(share * width);
  show_progress_line(
      fmt::format("{} [{:#<{}}{:.<{}}] {}", what_, "", filled, "", width - filled, numbers));
}

}  // namespace hardmoe
