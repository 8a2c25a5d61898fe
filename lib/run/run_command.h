// Runs a short command of another program and returns what it said.
#pragma once

#include <string>
#include <vector>

namespace hardmoe {

/// What a command said, and how it ended.
struct CommandResult {
  int exit_status = 0;   ///< 127: there is no such program; 128 + signal if a signal killed it
  std::string out, err;  ///< standard output and error
};

/// Runs the command (program first) and waits for its end. Throws Error if no process can be started.
CommandResult run_command(std::vector<std::string> words);

}  // namespace hardmoe
