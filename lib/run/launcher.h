// Runs commands as child processes on this machine, several at a time, each with a log of its own.
// Not a scheduler: a cluster's belongs to Slurm.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace hardmoe {

struct ProcessSpec {
  std::string name;                    ///< for people: "expert 2"
  std::vector<std::string> arguments;  ///< program first
  std::filesystem::path log;           ///< standard output and error are appended to it
  int lane = -1;                       ///< those of one lane run one after another; -1: of none
};

struct ProcessResult {
  int exit_status = 0;  ///< 128 + signal if one killed it
  double seconds = 0;
};

/// Runs all, at most `parallel` at once, and calls `finished` after each. What they warn of is
/// repeated as this process's warnings, with their names, while they run. After a failure or
/// SIGTERM/SIGINT (passed on to the children) nothing new is started and the rest is waited for;
/// children whose starter is killed are sent SIGTERM.
/// Throws Error with the failed one's name, exit status and its log's last message;
/// Error(interrupted) if it was interrupted.
void run_processes(const std::vector<ProcessSpec>& processes, int parallel,
                   const std::function<void(const ProcessSpec&, const ProcessResult&)>& finished);

/// As a shell would need it typed.
std::string shell_line(const std::vector<std::string>& arguments);

}  // namespace hardmoe
