// moe-bench-loader: how fast this machine can feed training from a data set.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tasks/config.h"

namespace hardmoe {

struct LoadRatesTask {
  std::string dataset;  ///< folder of moe-ingest
  std::string split = "train";
  int64_t epochs = 3;       ///< passes over the images
  int64_t max_images = 0;   ///< a pass stops after so many; 0: after all
  std::string cache = "0";  ///< bytes of decoded images kept in memory, as parse_bytes reads them
  bool evaluation = false;  ///< in order and centred, as for evaluation
  bool json = false;        ///< a line of JSON a pass, not a table
};

/// Loads the images as training would, without training, and hands `print` images a second: of
/// each stage what the threads would reach with that stage alone, and what they reached of the
/// whole. Throws Error(usage) for a split that is not there.
void measure_loading(const LoadRatesTask& task, const Config& config,
                     const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
