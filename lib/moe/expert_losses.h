// How well each expert of a mixture does on single images, whichever expert they belong to.
#pragma once

#include <span>
#include <vector>

#include "moe/mixture.h"

namespace hardmoe {

/// Returns the loss of one image's logits (V) as training has it: for softmax the mean over its
/// `tags` (at least one) of −log P(tag); for sigmoid Σ over all tags of −log P(as it is).
double loss_of_image(LossKind loss, std::span<const float> logits, std::span<const int32_t> tags);

/// Returns the images of the split that have tags, ascending; with `most` above 0 that many at
/// most, drawn by the seed.
std::vector<int64_t> images_with_tags(const Split& split, int64_t most, uint64_t seed);

/// Returns every expert's loss on each of `items`, n×K float32. Each must have tags. `inference`:
/// of the experts' network, with its classifier head.
Tensor expert_losses(Inference& inference, const Mixture& mixture, const Split& split,
                     const std::vector<int64_t>& items);

}  // namespace hardmoe
