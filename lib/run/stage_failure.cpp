#include "run/stage_failure.h"

#include <signal.h>
#include <string.h>

#include "base/text.h"

namespace hardmoe {
namespace {

std::string ending_text(const ProcessResult& result) {
  if (result.signal == 0) return fmt::format("exit status {}", result.exit_status);
  // The system's memory killer sends SIGKILL; a limit on memory may end a library with the others.
  const bool perhaps_memory =
      result.signal == SIGKILL || result.signal == SIGSEGV || result.signal == SIGABRT;
  return fmt::format("killed by signal {}, {}{}", result.signal, ::strsignal(result.signal),
                     perhaps_memory ? "; perhaps memory ran out" : "");
}

/// Returns "NAME failed (exit status 1): last message (all of it in LOG)".
std::string one_failure(const StageFailure& failure) {
  const ProcessSpec& process = *failure.process;
  return fmt::format("{} failed ({}): {} (all of it in {})", process.name,
                     ending_text(failure.result), failure.message, process.log.string());
}

}  // namespace

std::string failure_text(const std::vector<StageFailure>& failures, size_t not_begun) {
  std::string rest;
  if (not_begun > 0) {
    rest =
        fmt::format("; {} {} not begun", not_begun, not_begun == 1 ? "stage was" : "stages were");
  }
  if (failures.size() == 1) return one_failure(failures[0]) + rest;
  std::vector<std::string> lines;
  for (const StageFailure& failure : failures) lines.push_back(one_failure(failure));
  return fmt::format("{} stages failed{}:{}", failures.size(), rest, indented_list(lines));
}

}  // namespace hardmoe
