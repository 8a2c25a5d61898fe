// How good a network in training is on images that it is not trained on: for curves, for the choice of
// the best weights, and for ending a run early. Not for results: see train/metrics.h.
#pragma once

#include <cstdint>
#include <vector>

#include "train/config.h"
#include "train/inference.h"
#include "train/validation.h"

namespace hardmoe {

/// A network compiled for evaluation beside its training.
class SelectionJudge {
 public:
  /// `items`: images of `split`, one at least. Engine and split must outlive this.
  SelectionJudge(Engine& engine, const Network& network, int image_size, const Split& split,
                 std::vector<int64_t> items, const TrainConfig& config);

  /// Returns the mean of image_loss() over the images, and LRAP, P@1 and R@10 against their tags.
  /// Throws Error(interrupted) after SIGTERM.
  Judgment of(const StateDict& weights);

 private:
  const Split& split_;
  std::vector<int64_t> items_;
  LossKind loss_;
  Inference inference_;
};

}  // namespace hardmoe
