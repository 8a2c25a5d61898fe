// Decoding an image and cutting the square a network sees out of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/config.h"
#include "base/random.h"
#include "image/resize.h"
#include "tensor/tensor.h"

namespace hardmoe {

/// How training images are cropped; evaluation always resizes the short side and cuts the centre.
enum class Crop {
  center,          ///< as in evaluation
  random_resized,  ///< a random area and aspect ratio, resized (Szegedy et al. 2015)
  pad,             ///< evaluation's square, reflect-padded by `padding`, then a random square of it
};

struct AugmentConfig {
  Crop crop = Crop::random_resized;
  int padding = 4;         ///< pixels, for crop: pad
  double min_area = 0.25;  ///< share of the image's area, for crop: random_resized
  double max_area = 1.0;
  bool flip = true;  ///< mirror half of the images
  void describe(Fields& f);
};

/// Throws Error(usage) for values out of range, or a padding the image size cannot reflect.
void check_augment(const AugmentConfig& config, int image_size);

/// Decodes JPEG, PNG or WebP to uint8 H×W×3 RGB, upright by its EXIF orientation; gray and CMYK are
/// converted, 16 bits rounded to 8, transparency laid over white. Throws Error with the reason (the
/// caller adds which file), and Error(interrupted) soon after SIGTERM.
Tensor decode_image(std::span<const std::byte> bytes);

/// A square in the middle: the largest, or one whose side is `share` (0 < share ≤ 1) of the short
/// side, to whole pixels.
Region center_region(int64_t height, int64_t width, double share = 1);
/// A region of random area and aspect ratio 3/4 … 4/3, as torchvision's RandomResizedCrop draws it:
/// draws area, ratio, top, left.
Region random_region(int64_t height, int64_t width, const AugmentConfig& config, Random& random);

/// Evaluation's view of a decoded image: the middle square resized, size×size×3 written to `out`.
/// (image/view_maker.h makes views of files, and decodes no more than they need.)
void center_crop(const Tensor& image, int size, uint8_t* out);

/// Training's view of a decoded image: size×size×3 written to `out`, every choice drawn from
/// `random`: for pad the row and column of the square; for random_resized area, ratio and place; at
/// last whether to mirror. An image that is size×size already is cut by crop: pad without
/// resampling.
void augment(const Tensor& image, int size, const AugmentConfig& config, const Random& random,
             uint8_t* out);

}  // namespace hardmoe
