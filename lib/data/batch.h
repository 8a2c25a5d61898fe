// One minibatch, as loaders make it and engines take it.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace hardmoe {

struct Batch {
  int64_t size = 0;  ///< rows in use; rows beyond it, up to the capacity, are padding
  Tensor input;      ///< uint8 capacity×H×W×3 (RGB), or float32 capacity×D features
  /// The tags of row i are tag_ids[tag_ptr[i]] … tag_ids[tag_ptr[i+1]-1], ascending.
  std::vector<int32_t> tag_ptr{0};
  std::vector<int32_t> tag_ids;
};

}  // namespace hardmoe
