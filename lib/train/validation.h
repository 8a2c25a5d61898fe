// When and how the weights of a run in training are judged (train/trainer.h).
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tensor/safetensors.h"

namespace hardmoe {

/// How good weights are on images that are not trained on.
struct Judgment {
  double loss = 0;                                           ///< the smaller, the better
  std::vector<std::pair<std::string, double>> metrics = {};  ///< for the log, such as {"P@1", 0.3}
};

/// Judgments during a run.
struct Validation {
  double every = 0;  ///< epochs between judgments, and one at the end; 0: none
  int patience = 0;  ///< epochs without a smaller loss after which the run ends; 0: never
  std::function<Judgment(const StateDict&)> judge = {};
};

}  // namespace hardmoe
