// moe-eval: a network or a mixture against a data set's tags and truth.
#pragma once

#include <string>

#include "tasks/config.h"
#include "tasks/networks.h"

namespace hardmoe {

struct EvaluateTask {
  std::string dataset;  ///< folder of moe-ingest
  NetworkFolders networks;
  std::string decoder;         ///< of moe-train-decoder; empty: each expert's own
  bool stale_decoder = false;  ///< one that was trained over other experts of the base will do
  std::string out;             ///< folder that metrics.json is kept in; empty: none
  bool json = false;           ///< return a line of JSON, not tables
  bool force = false;          ///< as Stage::Options::force
};

/// Returns the metrics as tables, or as a line of JSON; of an earlier run where `out` has them.
/// Throws Error(usage) for settings that the mixture or the split cannot meet, and for folders that
/// do not belong together.
std::string evaluate(const EvaluateTask& task, Config& config);

}  // namespace hardmoe
