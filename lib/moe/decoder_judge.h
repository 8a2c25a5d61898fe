// How good a decoder in training is on rows of the unified embedding that it is not trained on. For a
// network on images see train/selection_judge.h.
#pragma once

#include "data/dataset.h"
#include "engine/engine.h"
#include "train/config.h"
#include "train/validation.h"

namespace hardmoe {

/// Held-out images' rows of the unified embedding.
class DecoderJudge {
 public:
  /// `rows`: float32, row i that of image i of `split`, one at least. `loss` and `precision`: those
  /// of the training. Engine and split must outlive this.
  DecoderJudge(Engine& engine, const Split& split, Tensor rows, LossKind loss, Precision precision);

  /// Returns the judgment of these weights, fc.weight and fc.bias (JudgmentSum). Throws
  /// Error(interrupted) after SIGTERM.
  Judgment of(const StateDict& weights);

 private:
  Engine& engine_;
  const Split& split_;
  Tensor rows_;
  LossKind loss_;
  Precision precision_;
};

}  // namespace hardmoe
