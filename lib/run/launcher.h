// Runs the stages of a graph as child processes on this machine, several at a time, each with its
// own log. Not a scheduler for clusters: use Slurm there.
#pragma once

#include <functional>
#include <vector>

#include "run/stage_graph.h"

namespace hardmoe {

/// How a process ended.
struct ProcessResult {
  int exit_status = 0;  ///< 128 + signal if a signal killed it
  double seconds = 0;
};

/// Runs all stages, each once the stages it depends on are done and at most `parallel` at a time
/// (Schedule), and calls `finished` after each that succeeds. Repeats the stages' warnings, with
/// their names, as warnings of this process while they run. After a failure or SIGTERM/SIGINT
/// (passed on to the children) it starts no further stage and waits for those that run. Throws
/// Error with the failed stage's name, its exit status and its log's last message, and with status
/// usage if that is the stage's; Error(interrupted) if interrupted; and as check_graph does.
void run_stages(const std::vector<RunStage>& stages, int parallel,
                const std::function<void(const RunStage&, const ProcessResult&)>& finished);

/// Runs one command. Throws as run_stages does.
void run_process(const ProcessSpec& process);

}  // namespace hardmoe
