// Decodes an image, and crops and resizes it to the square view that a network sees.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/config.h"
#include "base/random.h"
#include "image/resize.h"
#include "tensor/tensor.h"

namespace hardmoe {

/// How training images are cropped. Evaluation always takes the centred square and resizes it.
enum class Crop {
  center,          ///< the largest centred square, resized
  random_resized,  ///< a region of random area and aspect ratio, resized (Szegedy et al. 2015)
  pad,             ///< as `center`, then reflect-padded by `padding`, then a random square of it
};

/// Settings of training's views.
struct AugmentConfig {
  Crop crop = Crop::random_resized;
  int padding = 4;         ///< pixels on each side, for crop: pad
  double min_area = 0.25;  ///< least share of the image's area, for crop: random_resized
  double max_area = 1.0;   ///< largest share
  bool flip = true;        ///< mirror half of the images, at random
  double jitter = 0;       ///< strength of random changes of colour (image/color_jitter.h); 0: none
  void describe(Fields& f);
};

/// Throws Error(usage) for areas or a jitter out of range or, with crop: pad, a padding outside
/// 0 … image_size − 1. `image_size`: the view's height and width in pixels.
void check_augment(const AugmentConfig& config, int image_size);

/// Decodes JPEG, PNG or WebP to uint8 H×W×3 RGB, upright by its EXIF or XMP orientation. Gray
/// and CMYK are converted, 16 bits rounded to 8, transparency is blended with white. Throws Error
/// with the reason (the caller adds which file), and Error(interrupted) soon after SIGTERM.
Tensor decode_image(std::span<const std::byte> bytes);

/// Returns the centred square whose side is `share` (0 < share ≤ 1) of the short side, rounded to
/// whole pixels.
Region center_region(int64_t height, int64_t width, double share = 1);
/// Returns a region of random area and aspect ratio 3/4 … 4/3, as torchvision's RandomResizedCrop:
/// draws area, ratio, top, left from `random`. If 10 draws do not fit into the image, returns the
/// largest centred region within these ratios.
Region random_region(int64_t height, int64_t width, const AugmentConfig& config, Random& random);

/// Writes evaluation's view of a decoded image to `out`, size×size×3: the largest centred square,
/// resized. (image/view_maker.h makes views of files, and decodes no more than they need.)
void center_crop(const Tensor& image, int size, uint8_t* out);

/// Writes training's view of a decoded image to `out`, size×size×3. All choices are drawn from
/// `random`: for pad the row and column of the square; for random_resized area, ratio and position;
/// then whether to mirror; then changes of colour. With crop: pad an image that is already size×size is not resampled.
void augment(const Tensor& image, int size, const AugmentConfig& config, const Random& random,
             uint8_t* out);

}  // namespace hardmoe
