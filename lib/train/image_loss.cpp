#include "train/image_loss.h"

#include <algorithm>
#include <cmath>

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

}  // namespace hardmoe
