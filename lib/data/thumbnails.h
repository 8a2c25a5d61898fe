// Small squares of a split's images, for people to look at.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "tensor/tensor.h"

namespace hardmoe {

/// Returns the middle square of each of `items` of the split, uint8 size×size×3. One that cannot be
/// decoded, or whose shard is not on this machine, is an empty tensor. Throws Error(interrupted)
/// after SIGTERM.
std::vector<Tensor> thumbnails(const Split& split, const std::vector<int64_t>& items, int size);

}  // namespace hardmoe
