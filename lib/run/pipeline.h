// The whole method as a list of commands, in the order they must run; and what they came to.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "run/launcher.h"
#include "tasks/config.h"

namespace hardmoe {

/// Commands that may run at the same time.
struct PipelineStep {
  std::vector<ProcessSpec> processes;
  int parallel = 1;
};

/// Commands under `out`: dataset/ base/ embedding/ partition/ experts/K/ longer/ decoder/ eval/*/
/// logs/. `programs`: the folder of the commands. `frozen`: the configuration file they are given.
/// The device and `force` are handed on. With run.gpus, expert k is trained on GPU k mod gpus:
/// parts are equal, so that it matters little which GPU is free first. Throws Error(usage) if
/// run.sources and run.dataset do not say which data, or for a setting of any section that no data
/// could meet.
std::vector<PipelineStep> plan_pipeline(const Config& config, const std::filesystem::path& out,
                                        const std::filesystem::path& programs,
                                        const std::filesystem::path& frozen, bool force);

/// Throws Error(usage) if `out` holds something that no run put there.
void check_run_folder(const std::filesystem::path& out);

/// Throws Error(usage) if the run's dataset, where it is made already, lacks the split to evaluate
/// on.
void check_evaluation_split(const Config& config, const std::filesystem::path& out);

/// Throws Error(usage) if the embedding of one's own that the run is to partition by, or its
/// features to evaluate with, are not to be used together, or, where the run's dataset is made
/// already, have other numbers of rows than its splits.
void check_own_embedding(const Config& config, const std::filesystem::path& out);

/// Throws Error(usage) where a GPU that the run will need is not here: before the first stage, not
/// when the first expert's turn comes. A process of its own looks, so that none of the GPU's memory
/// is held during the run.
void check_devices(const Config& config, const std::filesystem::path& programs,
                   const std::filesystem::path& log);

/// What the finished run under `out` came to: one row for each of base, base trained longer (if
/// run), mixture with local decoders, mixture with the shared decoder.
Json pipeline_summary(const Config& config, const std::filesystem::path& out);
std::string summary_table(const Json& summary);

}  // namespace hardmoe
