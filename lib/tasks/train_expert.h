// moe-train-expert: a data set, the base and a partition → one expert, trained on its part alone.
#pragma once

#include <string>

#include "tasks/config.h"

namespace hardmoe {

struct TrainExpertTask {
  std::string dataset;    ///< folder of moe-ingest
  std::string base;       ///< folder of moe-train-base, or of an expert of all images
  std::string partition;  ///< folder of moe-partition; empty for `expert` "all"
  std::string expert;     ///< its number from 0, or "all": every image, a control
  std::string out;        ///< folder of the expert
  bool force = false;     ///< as Stage::Options::force
};

/// Trains, or finds it done, and returns the results as train_base() does, and throws as that does;
/// Error(usage) also where dataset, base and partition do not belong together.
std::string train_expert(const TrainExpertTask& task, Config& config);

}  // namespace hardmoe
