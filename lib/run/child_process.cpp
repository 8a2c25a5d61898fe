#include "run/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/tell.h"
#include "base/text.h"

namespace hardmoe {
namespace {

/// Returns this process's environment, with `tell` in place of what it says of a listener.
std::vector<std::string> environment_with(int tell) {
  const std::string name = fmt::format("{}=", tell_variable);
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with(name)) variables.emplace_back(*variable);
  }
  if (tell >= 0) variables.push_back(fmt::format("{}{}", name, tell));
  return variables;
}

/// Returns the texts as exec takes them.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

/// Runs between fork and exec: calls only what is safe there, and writes failures to the log.
[[noreturn]] void become(char* const* arguments, char* const* environment, int log, int tell,
                         pid_t parent) {
  ::setpgid(0, 0);  // Ctrl-C reaches the children through us, once
  // If this process is killed, the children must save and stop too, or they hold the stages' locks.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(static_cast<int>(ExitStatus::interrupted));
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  if (tell >= 0) ::fcntl(tell, F_SETFD, 0);  // exec leaves it open
  ::execvpe(arguments[0], arguments, environment);
  const std::string message = fmt::format("{}: {}\n", arguments[0], std::strerror(errno));
  static_cast<void>(!::write(STDERR_FILENO, message.data(), message.size()));
  ::_exit(127);  // as a shell has it
}

}  // namespace

pid_t start_process(const ProcessSpec& process, int tell) {
  std::vector<std::string> words = process.arguments, variables = environment_with(tell);
  const std::vector<char*> arguments = pointers_to(words), environment = pointers_to(variables);
  const OpenFile log(process.log, O_WRONLY | O_CREAT | O_APPEND);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    become(arguments.data(), environment.data(), log.descriptor(), tell, parent);
  }
  const int error = errno;
  if (child < 0) fail("starting {}: {}", process.arguments[0], std::strerror(error));
  return child;
}

std::string last_message(const std::filesystem::path& log, size_t from) {
  const std::string text = read_file(log);
  auto lines = split(std::string_view(text).substr(std::min(from, text.size())), '\n');
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
