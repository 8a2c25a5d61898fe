// Collects the scores of a split's images and makes an evaluation's metrics of them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "moe/evaluation.h"
#include "train/score_rows.h"

namespace hardmoe {

/// The k of P@k, R@k and hit@k.
inline const std::vector<int> evaluated_ks = {1, 5, 10};

/// Counts images, for each kind of label that the split has.
class Tally {
 public:
  /// `experts`: K, or 0 for a single model. `tags`: the number of scores for each image.
  Tally(const Split& split, int64_t experts, int64_t tags);

  /// Adds an image. `scores` rank its tags; `comparable` scores also rank images for a tag.
  void add(int64_t item, size_t expert, std::span<const float> scores,
           std::span<const float> comparable);
  /// Adds an image by its logits, of a head that was trained with `loss`.
  void add(int64_t item, size_t expert, std::span<const float> logits, LossKind loss);

  /// Returns the metrics, without cost.
  Evaluation result() const;

 private:
  struct Kind {
    std::string name;
    std::vector<MetricsAccumulator> parts;
  };

  const Split& split_;
  std::vector<Kind> kinds_;
  std::vector<int64_t> images_;
  ScoreRows rows_;
  std::vector<int64_t> items_;     ///< of each row
  std::vector<uint16_t> experts_;  ///< of each row
  ImageResults own_;
  std::vector<float> row_;  // scratch
};

}  // namespace hardmoe
