#include "moe/expert_losses.h"

#include <algorithm>

#include "base/log.h"
#include "base/random.h"
#include "engine/network_facts.h"
#include "train/image_loss.h"

namespace hardmoe {

std::vector<int64_t> images_with_tags(const Split& split, int64_t most, uint64_t seed) {
  split.require_index();
  std::vector<int64_t> items;
  for (int64_t i = 0; i < split.size(); ++i) {
    if (!split.tags(i).empty()) items.push_back(i);
  }
  if (most == 0 || std::ssize(items) <= most) return items;
  const auto order = random_permutation(
      std::ssize(items), Random(seed, RandomUse::partition, (uint64_t{1} << 42) + 1));
  std::vector<int64_t> drawn;
  for (int64_t i = 0; i < most; ++i) {
    drawn.push_back(items[static_cast<size_t>(order[static_cast<size_t>(i)])]);
  }
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

Tensor expert_losses(Inference& inference, const Mixture& mixture, const Split& split,
                     const std::vector<int64_t>& items) {
  const auto width = static_cast<size_t>(logits_size(inference.network()));
  const size_t experts = mixture.experts.size();
  Tensor losses(DType::f32, {std::ssize(items), static_cast<int64_t>(experts)});
  float* out = losses.as<float>().data();
  for (size_t k = 0; k < experts; ++k) {
    inference.load(expert_state_dict(mixture, static_cast<int64_t>(k)),
                   mixture.experts[k].string());
    log_info("expert {}: answering for {} images of split '{}'", k, items.size(), split.name());
    inference.run(split, items, [&](int64_t position, int64_t rows, auto, auto logits) {
      for (int64_t i = 0; i < rows; ++i) {
        const auto row = static_cast<size_t>(position + i);
        out[row * experts + k] = static_cast<float>(
            image_loss(mixture.losses[k], logits.subspan(static_cast<size_t>(i) * width, width),
                       split.tags(items[row])));
      }
    });
  }
  return losses;
}

}  // namespace hardmoe
