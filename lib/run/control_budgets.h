// What single networks may cost to be compared with a run's mixture: widths and epochs, by the
// mixture's floating-point operations. Costs are those of trunks; a head of V tags is little beside
// one, and V is not known before the dataset is there.
#pragma once

#include <string>
#include <vector>

#include "tasks/config.h"

namespace hardmoe {

/// Returns the passes over the dataset that training all experts costs, early stops apart: their
/// epochs where each sees its part alone, more where parts overlap or images come from outside.
double experts_epochs(const Config& config);

/// Returns the passes over the dataset that training the mixture costs, at the base's price an
/// image: the base's and the experts'.
double mixture_epochs(const Config& config);

/// One network from nothing.
struct WiderNetwork {
  int width = 0;      ///< its forward pass costs most nearly what evaluating the mixture does
  double epochs = 0;  ///< its training costs what the mixture's does
};
/// Returns the wider network that is as costly as the mixture. Throws Error(usage) as network_of().
WiderNetwork wider_network(const Config& config);

/// Returns the epochs of each of two networks of the base's size that cost together what the
/// mixture does in training.
double ensemble_epochs(const Config& config);

/// Returns a training command's options that train for `epochs` by the schedule of `config`, whose
/// steps, if it has some, move in proportion. `section`: the configuration's, base or expert.
std::vector<std::string> epochs_options(const TrainConfig& config, const std::string& section,
                                        double epochs);

}  // namespace hardmoe
