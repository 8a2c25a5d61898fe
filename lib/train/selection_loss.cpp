#include "train/selection_loss.h"

#include <algorithm>

#include "engine/network_facts.h"
#include "train/image_loss.h"

namespace hardmoe {
SelectionLoss::SelectionLoss(Engine& engine, const Network& network, int image_size,
                             const Split& split, std::vector<int64_t> items,
                             const TrainConfig& config)
    : split_(split),
      items_(std::move(items)),
      loss_(config.loss),
      inference_(engine, network, image_size, config.precision,
                 std::min<int64_t>(config.batch, static_cast<int64_t>(items_.size()))) {}

double SelectionLoss::of(const StateDict& weights) {
  inference_.load(weights, "weights in training");
  const int64_t width = logits_size(inference_.network());
  double sum = 0;
  inference_.run(split_, items_, [&](int64_t first, int64_t rows, auto, auto logits) {
    for (int64_t i = 0; i < rows; ++i) {
      const auto row = logits.subspan(static_cast<size_t>(i * width), static_cast<size_t>(width));
      sum += image_loss(loss_, row, split_.tags(items_[static_cast<size_t>(first + i)]));
    }
  });
  return sum / static_cast<double>(items_.size());
}

}  // namespace hardmoe
