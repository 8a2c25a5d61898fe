#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>

namespace hardmoe {
namespace {
std::atomic<LogLevel> current_level{LogLevel::info};
std::atomic<bool> bar_is_drawn{false};
std::mutex warnings_mutex;
std::vector<std::string> warnings;

constexpr const char* clear_line = "\r\033[K";
}  // namespace

void set_log_level(LogLevel level) { current_level = level; }

void log_line(LogLevel level, std::string_view text) {
  if (level == LogLevel::warning) {
    const std::lock_guard lock(warnings_mutex);
    warnings.emplace_back(text);
  }
  if (level > current_level.load()) return;
  const std::string line = fmt::format("{}{}{}\n", bar_is_drawn.exchange(false) ? clear_line : "",
                                       level == LogLevel::warning ? "warning: " : "", text);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

std::vector<std::string> warnings_so_far() {
  const std::lock_guard lock(warnings_mutex);
  return warnings;
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Progress::Progress(std::string_view what, long long total, long long start)
    : what_(what),
      total_(total),
      start_(start),
      start_seconds_(now_seconds()),
      enabled_(isatty(STDERR_FILENO) != 0 && current_level.load() == LogLevel::info) {}

Progress::~Progress() {
  if (enabled_ && bar_is_drawn.exchange(false)) std::fputs(clear_line, stderr);
}

void Progress::update(long long position, std::string_view note) {
  const double now = now_seconds();
  if (!enabled_ || (now - last_draw_ < 0.1 && position < total_)) return;
  last_draw_ = now;
  const double elapsed = now - start_seconds_;
  const double rate = elapsed > 0 ? static_cast<double>(position - start_) / elapsed : 0;
  const double left = rate > 0 ? static_cast<double>(total_ - position) / rate : 0;
  const double share = total_ > 0 ? static_cast<double>(position) / static_cast<double>(total_) : 1;
  constexpr int width = 24;
  const int filled = static_cast<int>(share * width);
  fmt::print(stderr, "{}{} [{:#<{}}{:.<{}}] {}/{}  {:.0f}/s  {:.0f} s left  {}", clear_line, what_,
             "", filled, "", width - filled, position, total_, rate, left, note);
  std::fflush(stderr);
  bar_is_drawn = true;
}

}  // namespace hardmoe
