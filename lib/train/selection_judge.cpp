#include "train/selection_judge.h"

#include <algorithm>

#include "engine/network_facts.h"
#include "train/image_loss.h"

namespace hardmoe {

void JudgmentSum::add(std::span<const float> logits, std::span<const int32_t> tags) {
  sum_ += image_loss(loss_, logits, tags);
  ++images_;
  ranks_.add(logits, tags);
}

Judgment JudgmentSum::result() const {
  const RankingMetrics found = ranks_.result();
  return {sum_ / static_cast<double>(images_),
          {{"LRAP", found.label_ranking_precision},
           {"P@1", found.at[0].precision},
           {"R@10", found.at[1].recall_macro}}};
}

SelectionJudge::SelectionJudge(Engine& engine, const Network& network, int image_size,
                               const Split& split, std::vector<int64_t> items,
                               const TrainConfig& config)
    : split_(split),
      items_(std::move(items)),
      loss_(config.loss),
      inference_(engine, network, image_size, config.precision,
                 std::min<int64_t>(config.batch, static_cast<int64_t>(items_.size()))) {}

Judgment SelectionJudge::of(const StateDict& weights) {
  inference_.load(weights, "weights in training");
  const int64_t width = logits_size(inference_.network());
  JudgmentSum sum(loss_);
  inference_.run(split_, items_, [&](int64_t first, int64_t rows, auto, auto logits) {
    for (int64_t i = 0; i < rows; ++i) {
      sum.add(logits.subspan(static_cast<size_t>(i * width), static_cast<size_t>(width)),
              split_.tags(items_[static_cast<size_t>(first + i)]));
    }
  });
  return sum.result();
}

}  // namespace hardmoe
