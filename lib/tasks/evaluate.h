// moe-eval: compares a network, several as one, or a mixture with a data set's tags and truth.
#pragma once

#include <string>

#include "tasks/config.h"
#include "tasks/networks.h"

namespace hardmoe {

/// What moe-eval is to do.
struct EvaluateTask {
  std::string dataset;  ///< folder of moe-ingest
  NetworkFolders networks;
  std::string decoder;         ///< of moe-train-decoder; empty: each expert's own
  bool stale_decoder = false;  ///< allow one trained over other experts of the same base
  std::string out;             ///< folder for metrics.json and images.npy; empty: none
  bool json = false;           ///< return a line of JSON, not tables
  bool force = false;          ///< see Stage::Options::force
};

/// Returns the metrics as tables, or as a line of JSON; an earlier run's if `out` has them. Throws
/// Error(usage) if a setting is impossible for the mixture or the split, or if the folders do not
/// belong together.
std::string evaluate(const EvaluateTask& task, Config& config);

}  // namespace hardmoe
