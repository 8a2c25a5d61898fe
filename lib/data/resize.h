// Resampling (OpenCV underneath): area averages when shrinking, bilinear when growing.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace hardmoe {

/// A rectangle of pixels within an image.
struct Region {
  int64_t top, left, height, width;
};

/// The region of the H×W×3 image as out_height×out_width×3, written to `out`. Copies rows where the
/// sizes agree. The region must lie within the image and hold a pixel at least.
void resize_region(const Tensor& image, const Region& region, int64_t out_height, int64_t out_width,
                   uint8_t* out);

/// The image with its short side `size`, aspect ratio kept; the same image if that is no smaller.
Tensor shrink_short_side(const Tensor& image, int64_t size);

}  // namespace hardmoe
