#include "run/launcher.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "run/log_warnings.h"

namespace hardmoe {
namespace {

constexpr double look_seconds = 0.1;  // between looks for warnings in the logs

/// Between fork and exec: only what is safe there, and what fails is told in the log.
[[noreturn]] void become(char* const* arguments, int log, pid_t parent) {
  ::setpgid(0, 0);  // Ctrl-C reaches the children through us, once
  // Should we be killed, the children save and stop too, or they would hold the stages' locks.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(static_cast<int>(ExitStatus::interrupted));
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execvp(arguments[0], arguments);
  const std::string message = fmt::format("{}: {}\n", arguments[0], std::strerror(errno));
  static_cast<void>(!::write(STDERR_FILENO, message.data(), message.size()));
  ::_exit(127);  // as a shell has it
}

pid_t start(const ProcessSpec& process) {
  std::vector<char*> arguments;
  for (const auto& argument : process.arguments) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  const OpenFile log(process.log, O_WRONLY | O_CREAT | O_APPEND);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) become(arguments.data(), log.descriptor(), parent);
  const int error = errno;
  if (child < 0) fail("starting {}: {}", process.arguments[0], std::strerror(error));
  return child;
}

/// The log's last line, or the one it belongs to and all from there where it is indented.
std::string last_message(const std::filesystem::path& log) {
  auto lines = split(read_file(log), '\n');
  while (!lines.empty() && trim(lines.back()).empty()) lines.pop_back();
  if (lines.empty()) return "no message";
  auto begin = lines.end() - 1;
  while (begin != lines.begin() && begin->starts_with("  ")) --begin;
  return join({begin, lines.end()}, "\n");
}

}  // namespace

void run_processes(const std::vector<ProcessSpec>& processes, int parallel,
                   const std::function<void(const ProcessSpec&, const ProcessResult&)>& finished) {
  struct Child {
    size_t process;
    double start;
    LogWarnings warnings;
  };
  std::map<pid_t, Child> running;
  std::optional<size_t> failed;
  int failed_status = 0;
  bool stopped = false;
  bool told = false;
  double looked = 0;
  std::deque<size_t> waiting(processes.size());
  std::iota(waiting.begin(), waiting.end(), size_t{0});
  std::set<int> busy;  // lanes
  while (!waiting.empty() || !running.empty()) {
    if (interrupted() && !told) {
      told = true;
      for (const auto& [pid, child] : running) ::kill(pid, SIGTERM);
    }
    const bool may_start =
        !failed && !stopped && !interrupted() && running.size() < static_cast<size_t>(parallel);
    const auto next = std::find_if(waiting.begin(), waiting.end(), [&](size_t i) {
      return processes[i].lane < 0 || !busy.contains(processes[i].lane);
    });
    if (may_start && next != waiting.end()) {
      const ProcessSpec& process = processes[*next];
      LogWarnings warnings(process.name, process.log);
      running.emplace(start(process), Child{*next, now_seconds(), std::move(warnings)});
      if (process.lane >= 0) busy.insert(process.lane);
      waiting.erase(next);
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
    const size_t index = child->second.process;
    child->second.warnings.repeat(true);
    running.erase(child);
    busy.erase(processes[index].lane);
    // A child that the signal found before its handlers were in place dies of it.
    const bool stopped_by_us = told && result.exit_status == 128 + SIGTERM;
    if (stopped_by_us || result.exit_status == static_cast<int>(ExitStatus::interrupted)) {
      stopped = true;
    } else if (result.exit_status != 0 && !failed) {
      failed = index;
      failed_status = result.exit_status;
    } else if (result.exit_status == 0) {
      finished(processes[index], result);
    }
  }
  if (failed) {
    const ProcessSpec& process = processes[*failed];
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

std::string shell_line(const std::vector<std::string>& arguments) {
  std::vector<std::string> quoted;
  for (const auto& argument : arguments) {
    const bool plain =
        !argument.empty() && argument.find_first_not_of(
                                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789_-./=:,+@%") == std::string::npos;
    std::string escaped;
    for (const char c : argument) escaped += c == '\'' ? std::string("'\\''") : std::string(1, c);
    quoted.push_back(plain ? argument : "'" + escaped + "'");
  }
  return join(quoted, " ");
}

}  // namespace hardmoe
