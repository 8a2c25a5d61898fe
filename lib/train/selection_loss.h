// The loss of a network in training on images that it is not trained on, by which the trainer ends
// a run early. Not for results: see train/metrics.h.
#pragma once

#include <cstdint>
#include <vector>

#include "train/config.h"
#include "train/inference.h"

namespace hardmoe {

/// A network compiled for evaluation beside its training.
class SelectionLoss {
 public:
  /// `items`: images of `split`, one at least. Engine and split must outlive this.
  SelectionLoss(Engine& engine, const Network& network, int image_size, const Split& split,
                std::vector<int64_t> items, const TrainConfig& config);

  /// Returns the mean of image_loss() over the images. Throws Error(interrupted) after SIGTERM.
  double of(const StateDict& weights);

 private:
  const Split& split_;
  std::vector<int64_t> items_;
  LossKind loss_;
  Inference inference_;
};

}  // namespace hardmoe
