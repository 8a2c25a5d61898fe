// The one error type of the toolkit, and the exit statuses every command documents.
// Not for per-item failures while ingesting: those are counted and listed, never thrown.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace hardmoe {

/// Process exit statuses, the same for every command.
enum class ExitStatus {
  done = 0,
  failed = 1,        ///< the work could not be finished
  usage = 2,         ///< wrong option, configuration or combination of inputs
  interrupted = 75,  ///< stopped by SIGTERM/SIGINT after saving; the same command resumes
};

/// What was being done, to which file/line/field, what was found, and what to do about it.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ExitStatus status = ExitStatus::failed)
      : std::runtime_error(message), status_(status) {}
  ExitStatus status() const { return status_; }

 private:
  ExitStatus status_;
};

/// Throws Error(failed) with a formatted sentence.
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws Error(usage): the user asked for something that cannot be.
template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...), ExitStatus::usage);
}

}  // namespace hardmoe
