// How well each expert of a mixture does on single images, whichever expert they belong to.
#pragma once

#include <vector>

#include "moe/mixture.h"

namespace hardmoe {

/// Returns the images of the split that have tags, ascending; with `most` above 0 that many at
/// most, drawn by the seed.
std::vector<int64_t> images_with_tags(const Split& split, int64_t most, uint64_t seed);

/// Returns every expert's image_loss() on each of `items`, n×K float32. Each must have tags.
/// `inference`: of the experts' network, with its classifier head.
Tensor expert_losses(Inference& inference, const Mixture& mixture, const Split& split,
                     const std::vector<int64_t>& items);

}  // namespace hardmoe
