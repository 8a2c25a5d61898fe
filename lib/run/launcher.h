// Runs the stages of a graph as child processes on this machine, several at a time, each with its
// own log. On clusters: run/slurm_submit.h.
#pragma once

#include <functional>
#include <vector>

#include "run/stage_failure.h"
#include "run/stage_graph.h"

namespace hardmoe {

/// How stages are run.
struct LaunchOptions {
  int parallel = 1;         ///< at most so many at a time
  bool keep_going = false;  ///< after a failure go on with stages that do not need what failed
  int retries =
      0;  ///< how often a stage is started again that a fault of the moment may have ended
  double retry_seconds =
      1;  ///< before the first of them; then twice as long each time, at most a minute
};

/// Runs all stages, each once the stages it depends on are done (Schedule), and calls `finished` after
/// each that succeeds; experts of many images before those of few. A stage whose folder another process writes is left to that, and taken up when
/// it ends: its command then says at once that it is done, or goes on with it. Repeats the stages' warnings, with their names, as warnings of this process
/// while they run, and tells how far they are (StageProgress). A stage that fails is started again if
/// retries are left, unless its status is usage. After a failure, unless told to keep going, and after
/// a signal that ends this process (passed on to the children as SIGTERM), it starts no further stage
/// and waits for those that run. Throws Error with the failed stages' names, how they ended and what
/// they said last (failure_text), with status usage if that is the first one's; Error(interrupted) if
/// interrupted; and as check_graph does.
void run_stages(const std::vector<RunStage>& stages, const LaunchOptions& options,
                const std::function<void(const RunStage&, const ProcessResult&)>& finished);

/// Runs one command. Throws as run_stages does.
void run_process(const ProcessSpec& process);

}  // namespace hardmoe
