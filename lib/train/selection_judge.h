// How good a network in training is on images that it is not trained on: for curves, for the choice of
// the best weights, and for ending a run early. Not for results: see train/metrics.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/config.h"
#include "train/inference.h"
#include "train/metrics.h"
#include "train/validation.h"

namespace hardmoe {

/// The judgment of answers that come image by image.
class JudgmentSum {
 public:
  explicit JudgmentSum(LossKind loss) : loss_(loss) {}

  /// Adds an image: its V logits, and its tags (ascending ids).
  void add(std::span<const float> logits, std::span<const int32_t> tags);
  /// Returns the mean of image_loss() over the images so far, one at least, and LRAP, P@1 and R@10
  /// against their tags.
  Judgment result() const;

 private:
  LossKind loss_;
  double sum_ = 0;
  int64_t images_ = 0;
  MetricsAccumulator ranks_ = MetricsAccumulator({1, 10});
};

/// A network compiled for evaluation beside its training.
class SelectionJudge {
 public:
  /// `items`: images of `split`, one at least. Engine and split must outlive this.
  SelectionJudge(Engine& engine, const Network& network, int image_size, const Split& split,
                 std::vector<int64_t> items, const TrainConfig& config);

  /// Returns the judgment of these weights (JudgmentSum). Throws Error(interrupted) after SIGTERM.
  Judgment of(const StateDict& weights);

 private:
  const Split& split_;
  std::vector<int64_t> items_;
  LossKind loss_;
  Inference inference_;
};

}  // namespace hardmoe
