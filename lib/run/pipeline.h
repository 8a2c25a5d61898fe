// The whole method as a graph of commands, one for each stage.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "run/stage_graph.h"
#include "tasks/config.h"

namespace hardmoe {

/// The stages of a run.
struct Pipeline {
  std::vector<RunStage> stages;  ///< in an order in which they can run one after another
  int parallel = 1;              ///< experts trained at a time
};

/// Returns the stages of a run under `out`: dataset/ base/ embedding/ partition/ experts/K/ longer/
/// decoder/ eval/*/, with logs/. `programs`: the folder of the commands. `frozen`: the
/// configuration file they read. All commands get the device and `force`. With run.gpus, expert k
/// is trained on GPU k mod gpus: experts have equal parts, so it matters little which GPU is free
/// first. Throws Error(usage) unless one of ingest.sources and run.dataset names the data, and for
/// a setting of any section that is impossible whatever the data.
Pipeline plan_pipeline(const Config& config, const std::filesystem::path& out,
                       const std::filesystem::path& programs, const std::filesystem::path& frozen,
                       bool force);

/// Returns the data set's folder of a run under `out`: the one configured, or its own.
std::string dataset_folder(const Config& config, const std::filesystem::path& out);

}  // namespace hardmoe
