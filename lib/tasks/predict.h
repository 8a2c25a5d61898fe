// moe-predict: images → their tags, by a model or a mixture.
#pragma once

#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "tasks/config.h"
#include "tasks/prediction.h"

namespace hardmoe {

/// What moe-predict is to do.
struct PredictTask {
  std::string run;                    ///< see find_networks()
  std::vector<std::string> images;    ///< see NamedImages
  std::string row;                    ///< see find_networks()
  int top = 5;                        ///< tags of an image at most
  double threshold = 0;               ///< the least probability of a tag
  std::optional<int> top_experts;     ///< how many experts answer; none: as many as were evaluated
  std::optional<double> temperature;  ///< of their weights; none: as evaluated
  SparseOverride sparse;              ///< what is changed of a model's layers of experts
  PredictionForm form = PredictionForm::table;
  std::string embedding;   ///< file for the rows of the unified embedding; empty: none
  bool write_xmp = false;  ///< put the tags into files beside the images
};

/// Prints the predictions in the images' order, an image that cannot be read as a line with its
/// error. Throws Error(usage) as find_networks(), open_networks() and Predictor do; at the end
/// Error, if there were images that could not be read, or files beside images not be written, saying
/// how many.
void predict_images(const PredictTask& task, Config& config, std::istream& standard_input,
                    const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
