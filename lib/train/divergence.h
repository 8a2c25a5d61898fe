// How a training that diverged is told from one that learned.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/spec.h"
#include "nn/network.h"
#include "tensor/safetensors.h"
#include "train/config.h"

namespace hardmoe {

/// Throws Error naming the step, and what to try.
[[noreturn]] void fail_diverged(const TrainConfig& config, int64_t step, double epoch);

/// Returns whether all weights are finite: the last update can overflow without a loss to show it.
bool are_finite(const StateDict& weights);

/// The end of a training.
struct FinalLoss {
  double mean = 0;   ///< over the last log interval, which may begin with a fault recovered from
  double last = 0;   ///< the last step's, whose batch may be unusual
  int64_t step = 0;  ///< the last
  double epoch = 0;  ///< the same in epochs
};

/// Throws Error if the loss, though finite, is that of a network that learned nothing, judged by
/// the loss of equal scores for all tags; warns if it is above that. A fresh network's loss is
/// about that, but a deep one's first steps can take it far from there and back.
void require_learned(const FinalLoss& loss, const std::vector<LossSpec>& losses,
                     const Network& network, const TrainConfig& config);

}  // namespace hardmoe
