// Runs the stages of a graph as child processes on this machine, several at a time, each with a log
// of its own. Not a scheduler: a cluster's belongs to Slurm.
#pragma once

#include <functional>
#include <vector>

#include "run/stage_graph.h"

namespace hardmoe {

struct ProcessResult {
  int exit_status = 0;  ///< 128 + signal if one killed it
  double seconds = 0;
};

/// Runs all, each when what it depends on is done and at most `parallel` at once (Schedule), and
/// calls `finished` after each. What they warn of is repeated as this process's warnings, with
/// their names, while they run. After a failure or SIGTERM/SIGINT (passed on to the children)
/// nothing new is started and the rest is waited for; children whose starter is killed are sent
/// SIGTERM.
/// Throws Error with the failed one's name, exit status and its log's last message;
/// Error(interrupted) if it was interrupted; and as check_graph.
void run_stages(const std::vector<RunStage>& stages, int parallel,
                const std::function<void(const RunStage&, const ProcessResult&)>& finished);

/// Runs one command, and throws as run_stages.
void run_process(const ProcessSpec& process);

}  // namespace hardmoe
