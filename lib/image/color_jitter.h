// Random changes of an image's colours, as torchvision's ColorJitter makes of a Pillow image: the same
// bytes for the same factors in the same order. Its hue is left out.
#pragma once

#include <cstdint>
#include <span>

#include "base/random.h"

namespace hardmoe {

enum class ColorChange {
  brightness,  ///< pixels times the factor
  contrast,    ///< their distance from the image's mean luma times the factor
  saturation,  ///< their distance from their own luma times the factor
};

/// Changes `pixels`, N×3 RGB. A factor of 1 leaves them as they are.
void change_colors(ColorChange change, float factor, std::span<uint8_t> pixels);

/// Makes all three changes in random order, each by a factor drawn from 1 − strength … 1 + strength.
void jitter_colors(double strength, Random& random, std::span<uint8_t> pixels);

}  // namespace hardmoe
