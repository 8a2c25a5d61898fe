// The whole method as a graph of commands, one a stage.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "run/stage_graph.h"
#include "tasks/config.h"

namespace hardmoe {

struct Pipeline {
  std::vector<RunStage> stages;  ///< in an order in which they can run one after another
  int parallel = 1;              ///< how many experts are trained at a time
};

/// Stages under `out`: dataset/ base/ embedding/ partition/ experts/K/ longer/ decoder/ eval/*/,
/// and logs/. `programs`: the folder of the commands. `frozen`: the configuration file they are
/// given. The device and `force` are handed on. With run.gpus, expert k is trained on GPU k mod
/// gpus: parts are equal, so that it matters little which GPU is free first. Throws Error(usage) if
/// ingest.sources and run.dataset do not say which data, or for a setting of any section that no
/// data could meet.
Pipeline plan_pipeline(const Config& config, const std::filesystem::path& out,
                       const std::filesystem::path& programs, const std::filesystem::path& frozen,
                       bool force);

/// The data set's folder of a run under `out`: its own, or the one it is given.
std::string dataset_folder(const Config& config, const std::filesystem::path& out);

}  // namespace hardmoe
