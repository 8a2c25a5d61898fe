// The whole method as a graph of commands, one for each stage.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "run/stage_graph.h"
#include "tasks/config.h"

namespace hardmoe {

/// A network that a run evaluates: a row of its table.
struct RunRow {
  std::string name;              ///< for people: "base, trained as long"
  std::string key;               ///< "longer"; the same for every seed
  uint64_t seed = 0;             ///< of all that it takes
  std::string evaluation;        ///< the name of its last stage
  std::filesystem::path folder;  ///< of that stage
  std::string over = {};         ///< of a lever: the key of the mixture's row that it changes
};

/// The stages of a run.
struct Pipeline {
  std::vector<RunStage> stages;  ///< in an order in which they can run one after another
  std::vector<RunRow> rows;      ///< of each seed, in the order of the table
  int parallel = 1;              ///< experts trained at a time
  int gpus = 0;                  ///< GPUs that experts are spread over
};

/// Returns the stages of a run under `out`: dataset/ base/ embedding/ partition/ experts/K/ longer/
/// decoder/ eval/*/ and other controls' in controls/, levers' in levers/, with logs/; those of
/// further seeds lie the same way in seed-N/. `programs`: the folder of the commands. `frozen`: the
/// configuration file they read. All commands get the device and `force`. With run.gpus, experts
/// take GPUs in turn: they have equal parts, so it matters little which GPU is free first. A
/// control that the configuration's mixture is itself (random, if partition.method is) is left out.
/// Throws Error(usage) unless one of ingest.sources and run.dataset names the data, and for a
/// setting of any section that is impossible whatever the data.
Pipeline plan_pipeline(const Config& config, const std::filesystem::path& out,
                       const std::filesystem::path& programs, const std::filesystem::path& frozen,
                       bool force);

/// Returns the data set's folder of a run under `out`: the one configured, or its own.
std::string dataset_folder(const Config& config, const std::filesystem::path& out);

}  // namespace hardmoe
