#include "train/selection_loss.h"

#include <algorithm>
#include <cmath>

#include "engine/network_facts.h"

namespace hardmoe {
namespace {

double softmax_loss(std::span<const float> logits, std::span<const int32_t> tags) {
  if (tags.empty()) return 0;
  const auto top = static_cast<double>(*std::ranges::max_element(logits));
  double sum = 0, tagged = 0;
  for (const float z : logits) sum += std::exp(static_cast<double>(z) - top);
  for (const int32_t tag : tags) tagged += static_cast<double>(logits[static_cast<size_t>(tag)]);
  return std::log(sum) + top - tagged / static_cast<double>(tags.size());
}

double sigmoid_loss(std::span<const float> logits, std::span<const int32_t> tags) {
  double loss = 0;
  for (const float logit : logits) {
    const auto z = static_cast<double>(logit);
    loss += std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z)));
  }
  for (const int32_t tag : tags) loss -= static_cast<double>(logits[static_cast<size_t>(tag)]);
  return loss;
}

}  // namespace

double image_loss(LossKind loss, std::span<const float> logits, std::span<const int32_t> tags) {
  return loss == LossKind::softmax ? softmax_loss(logits, tags) : sigmoid_loss(logits, tags);
}

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
