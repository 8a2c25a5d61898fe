#include "run/launcher.h"

#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/signals.h"
#include "run/log_warnings.h"

namespace hardmoe {
namespace {

constexpr double look_seconds = 0.1;  // between looks for warnings in the logs

}  // namespace

void run_stages(const std::vector<RunStage>& stages, int parallel,
                const std::function<void(const RunStage&, const ProcessResult&)>& finished) {
  struct Child {
    size_t stage;
    double start;
    LogWarnings warnings;
  };
  std::map<pid_t, Child> running;
  std::optional<size_t> failed;
  int failed_status = 0;
  bool stopped = false;
  bool told = false;
  double looked = 0;
  Schedule schedule(stages, parallel);
  while (!schedule.all_done()) {
    if (interrupted() && !told) {
      told = true;
      for (const auto& [pid, child] : running) ::kill(pid, SIGTERM);
    }
    const bool may_start = !failed && !stopped && !interrupted();
    if (const auto next = may_start ? schedule.next() : std::nullopt) {
      const ProcessSpec& process = stages[*next].process;
      LogWarnings warnings(process.name, process.log);
      running.emplace(start_process(process), Child{*next, now_seconds(), std::move(warnings)});
      schedule.start(*next);
      continue;
    }
    if (running.empty()) break;
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    const auto child = running.find(pid);
    if (child == running.end()) {
      if (now_seconds() - looked > look_seconds) {
        looked = now_seconds();
        for (auto& [pid_of, other] : running) other.warnings.repeat(false);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    const ProcessResult result{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                               now_seconds() - child->second.start};
    const size_t index = child->second.stage;
    child->second.warnings.repeat(true);
    running.erase(child);
    schedule.end(index, result.exit_status == 0);
    // A child that got the signal before it had installed its handlers dies of it.
    const bool stopped_by_us = told && result.exit_status == 128 + SIGTERM;
    if (stopped_by_us || result.exit_status == static_cast<int>(ExitStatus::interrupted)) {
      stopped = true;
    } else if (result.exit_status != 0 && !failed) {
      failed = index;
      failed_status = result.exit_status;
    } else if (result.exit_status == 0) {
      finished(stages[index], result);
    }
  }
  if (failed) {
    const ProcessSpec& process = stages[*failed].process;
    const std::string message =
        fmt::format("{} failed (exit status {}): {} (all of it in {})", process.name, failed_status,
                    last_message(process.log), process.log.string());
    throw Error(message, failed_status == static_cast<int>(ExitStatus::usage) ? ExitStatus::usage
                                                                              : ExitStatus::failed);
  }
  if (stopped)
    throw Error("interrupted; run the same command again to resume", ExitStatus::interrupted);
  throw_if_interrupted();
}

void run_process(const ProcessSpec& process) {
  run_stages({{.process = process}}, 1, [](const auto&, const auto&) {});
}

}  // namespace hardmoe
