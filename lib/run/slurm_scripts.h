// A run as scripts for Slurm: one for each stage, one for all experts of a mixture. Each runs a line
// that a person could type. Submits nothing: see run/slurm_submit.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "run/stage_graph.h"
#include "tasks/config.h"

namespace hardmoe {

/// A script, and the stages that its jobs run.
struct SlurmScript {
  std::string name;                 ///< "decoder", "random expert"
  bool is_array = false;            ///< of experts: its tasks have the numbers of their parts
  std::filesystem::path file;       ///< OUT/slurm/random-expert.sbatch
  std::vector<size_t> stages = {};  ///< numbers in the run's graph; of an array by their parts
  std::string text = {};
};

/// What all scripts of a run share.
struct SlurmRun {
  std::filesystem::path out;      ///< folder of the run, from `folder`
  std::filesystem::path program;  ///< moe-run
  std::filesystem::path folder;   ///< where they run: that of the person who submits them
};

/// Returns the scripts of all stages, in an order in which they can run one after another.
///
/// A script passes SIGTERM, which Slurm sends before the time limit, on to moe-run. A job that was
/// interrupted so (status 75) queues itself again; one that fails does, too, as often as run.retries
/// says, unless its settings are wrong (status 2). Of an array's script the first argument, if there
/// is one, is added to the task's number.
std::vector<SlurmScript> slurm_scripts(const std::vector<RunStage>& stages, const Config& config,
                                       const SlurmRun& run);

/// Returns Slurm's text for numbers, "0-3,7". They must ascend.
std::string array_text(const std::vector<int>& numbers);

/// Throws Error(usage) naming a setting of the section slurm that no cluster takes.
void check_slurm_config(const SlurmConfig& config);

}  // namespace hardmoe
