// moe-train-base: a data set → the base CNN.
#pragma once

#include <string>

#include "tasks/config.h"

namespace hardmoe {

/// What moe-train-base is to do.
struct TrainBaseTask {
  std::string dataset;  ///< folder of moe-ingest
  std::string out;      ///< folder of the model
  bool force = false;   ///< see Stage::Options::force
};

/// Trains the base unless it is done, and returns the results as a line of JSON: images, steps,
/// loss, seconds, images_per_second, training_flops. Throws Error(usage), before it changes `out`, if settings or
/// inputs are impossible; Error(interrupted) after SIGTERM.
std::string train_base(const TrainBaseTask& task, Config& config);

}  // namespace hardmoe
