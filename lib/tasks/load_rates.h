// moe-bench-loader: measures how fast this machine can feed training from a data set.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tasks/config.h"

namespace hardmoe {

/// What moe-bench-loader is to do.
struct LoadRatesTask {
  std::string dataset;  ///< folder of moe-ingest
  std::string split = "train";
  int64_t epochs = 3;       ///< passes over the images
  int64_t max_images = 0;   ///< images in a pass; 0: all
  std::string cache = "0";  ///< bytes of decoded images kept in memory, in the form of parse_bytes
  bool evaluation = false;  ///< load in order and centred, as for evaluation
  bool json = false;        ///< print a line of JSON for each pass, not a table
};

/// Loads the images as training would, without training. Passes images per second to `print`: for
/// each step of loading what the threads would reach with that step alone, and what they reached
/// with all. Throws Error(usage) if the data set lacks the split.
void measure_loading(const LoadRatesTask& task, const Config& config,
                     const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
