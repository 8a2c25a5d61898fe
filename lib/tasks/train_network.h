// A network trained on all images of a dataset, as a stage: what moe-train-base and moe-train-sparse
// have in common.
#pragma once

#include <string>

#include "tasks/config.h"

namespace hardmoe {

/// What to train.
struct NetworkTask {
  std::string command;  ///< "moe-train-base"
  std::string section;  ///< of the configuration, that has the settings: "base"
  std::string dataset;  ///< folder of moe-ingest
  std::string out;      ///< folder of the model
  bool force = false;   ///< see Stage::Options::force
  ModelConfig model;
  TrainConfig settings;
  std::string init;  ///< weights to begin with (train/warm_start.h); empty: fresh ones
  JudgingConfig judging;
};

/// Trains the network unless it is done, and returns the results as a line of JSON: images, steps,
/// loss, seconds, images_per_second, training_flops. `config`: with the seed and the device, and
/// written beside the model. Throws Error(usage), before it changes `out`, if settings or inputs are
/// impossible; Error(interrupted) after SIGTERM.
std::string train_network(const NetworkTask& task, Config& config);

}  // namespace hardmoe
