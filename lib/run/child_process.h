// Starts one command as a child process of this one, with its own log.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace hardmoe {

/// A command to start.
struct ProcessSpec {
  std::string name;                    ///< for people: "expert 2"
  std::vector<std::string> arguments;  ///< program first
  std::filesystem::path log;           ///< standard output and error are appended to it
  int lane = -1;                       ///< processes of one lane run one at a time; -1: no lane
};

/// Starts the process in its own process group; it gets SIGTERM if this process is killed. `tell`: a
/// descriptor of ours on which it tells how far it is (base/tell.h), or -1. Throws Error if the log
/// cannot be written. If the program cannot be started, the log says so and the process ends with
/// status 127.
pid_t start_process(const ProcessSpec& process, int tell = -1);

/// Returns the last line of what the log has from byte `from` on; if that is indented, also the lines
/// before it up to the sentence that it belongs to. Returns "no message" where there is none.
std::string last_message(const std::filesystem::path& log, size_t from = 0);

/// Returns the command quoted for a shell.
std::string shell_line(const std::vector<std::string>& arguments);

}  // namespace hardmoe
