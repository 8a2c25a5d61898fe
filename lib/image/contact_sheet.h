// Many small images as one. Not for reading images: see data/thumbnails.h.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace hardmoe {

/// Returns the tiles (uint8 S×S×3) in rows of `columns`, left to right, `gap` grey pixels between
/// them; a place without a tile (an empty tensor, or none) is grey. Without tiles an empty tensor.
/// `gap_before`: a column before which there is a gap three times as wide; 0: none.
Tensor contact_sheet(const std::vector<Tensor>& tiles, int64_t columns, int64_t gap = 2,
                     int64_t gap_before = 0);

}  // namespace hardmoe
