// moe-train-base: a data set → the base CNN.
#pragma once

#include <string>

#include "tasks/config.h"

namespace hardmoe {

struct TrainBaseTask {
  std::string dataset;  ///< folder of moe-ingest
  std::string out;      ///< folder of the model
  bool force = false;   ///< as Stage::Options::force
};

/// Trains, or finds it done, and returns the results as a line of JSON: images, steps, loss,
/// seconds, images_per_second. Throws Error(usage) for settings and inputs that cannot be met,
/// before `out` is touched; Error(interrupted) after SIGTERM.
std::string train_base(const TrainBaseTask& task, Config& config);

}  // namespace hardmoe
