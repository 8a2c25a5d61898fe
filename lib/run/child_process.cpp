#include "run/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace hardmoe {
namespace {

/// Runs between fork and exec: calls only what is safe there, and writes failures to the log.
[[noreturn]] void become(char* const* arguments, int log, pid_t parent) {
  ::setpgid(0, 0);  // Ctrl-C reaches the children through us, once
  // If this process is killed, the children must save and stop too, or they hold the stages' locks.
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

}  // namespace

pid_t start_process(const ProcessSpec& process) {
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

std::string last_message(const std::filesystem::path& log) {
  auto lines = split(read_file(log), '\n');
  while (!lines.empty() && trim(lines.back()).empty()) lines.pop_back();
  if (lines.empty()) return "no message";
  auto begin = lines.end() - 1;
  while (begin != lines.begin() && begin->starts_with("  ")) --begin;
  return join({begin, lines.end()}, "\n");
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
