// One command as a child process of this one, with a log of its own.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace hardmoe {

struct ProcessSpec {
  std::string name;                    ///< for people: "expert 2"
  std::vector<std::string> arguments;  ///< program first
  std::filesystem::path log;           ///< standard output and error are appended to it
  int lane = -1;                       ///< those of one lane run one after another; -1: of none
};

/// Starts it, in a process group of its own; it is sent SIGTERM when this process is killed. Throws
/// Error for a log that cannot be written; a program that cannot be started says so in the log and
/// ends with status 127.
pid_t start_process(const ProcessSpec& process);

/// The log's last line; where that is indented, the sentence that it belongs to and all after it.
std::string last_message(const std::filesystem::path& log);

/// The command as a shell would need it typed.
std::string shell_line(const std::vector<std::string>& arguments);

}  // namespace hardmoe
