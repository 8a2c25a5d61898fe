// moe-train-expert: a data set, the base and a partition → one expert, trained on its part (and on
// images from outside it, if asked to).
#pragma once

#include <string>
#include <vector>

#include "tasks/config.h"

namespace hardmoe {

/// What moe-train-expert is to do.
struct TrainExpertTask {
  std::string dataset;    ///< folder of moe-ingest
  std::string base;       ///< folder of moe-train-base, or of an expert trained on all images
  std::string partition;  ///< folder of moe-partition; empty for `expert` "all"
  std::string expert;     ///< its number from 0, or "all": a control trained on all images
  /// The embedding that the partition was made of, as for find_embedding; read for expert.overlap
  /// and for outside_from: nearest only.
  std::vector<std::string> embedding;
  std::string out;     ///< folder of the expert
  bool force = false;  ///< see Stage::Options::force
};

/// Trains the expert unless it is done; returns and throws as train_base() does. Throws
/// Error(usage) also if dataset, base and partition do not belong together.
std::string train_expert(const TrainExpertTask& task, Config& config);

}  // namespace hardmoe
