// Hands a run to Slurm: writes its scripts, submits them, and returns.
#pragma once

#include <functional>
#include <string>

#include "run/slurm_scripts.h"

namespace hardmoe {

/// Submits those of the `selected` stages that are neither done nor in the queue, each to begin when
/// the jobs of the stages it needs have ended, however they did: a job whose stage lacks something says
/// so and ends. What waits in the queue for a stage that is submitted now is submitted anew. Passes a
/// line for each job to `print`. Throws Error(usage) if a stage needs what is neither done nor in the
/// queue nor selected; Error with Slurm's reason if it does not take a script, after taking back the
/// others.
void submit_run(const std::vector<RunStage>& stages, const std::vector<size_t>& selected,
                const Config& config, const SlurmRun& run,
                const std::function<void(const std::string&)>& print);

/// Passes all scripts of the selected stages, and the lines that would submit them, to `print`. Needs
/// no Slurm.
void print_slurm_plan(const std::vector<RunStage>& stages, const std::vector<size_t>& selected,
                      const Config& config, const SlurmRun& run,
                      const std::function<void(const std::string&)>& print);

/// Ends the jobs of the run in `out` that have not ended, and passes a line to `print`. Throws as
/// SlurmQueue does.
void cancel_run(const std::filesystem::path& out,
                const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
