#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "data/resize.h"

namespace hardmoe {
namespace {

/// Index of the pixel that `at` shows when a line of `length` is continued by its mirror image
/// about its first and last pixel (NumPy's mode "reflect"). -length < at < 2·length - 1.
int64_t reflect(int64_t at, int64_t length) {
  at = std::abs(at);
  return at < length ? at : 2 * (length - 1) - at;
}

void mirror_rows(uint8_t* pixels, int64_t size) {
  for (int64_t y = 0; y < size; ++y, pixels += 3 * size) {
    for (int64_t left = 0, right = size - 1; left < right; ++left, --right) {
      for (int64_t c = 0; c < 3; ++c) std::swap(pixels[3 * left + c], pixels[3 * right + c]);
    }
  }
}

/// The size×size square at (top, left) of `square` padded by reflection; both may be negative.
void cut_padded(const uint8_t* square, int64_t size, int64_t top, int64_t left, uint8_t* out) {
  const int64_t begin = std::max<int64_t>(0, -left);         // columns of `out` that lie on
  const int64_t end = std::min<int64_t>(size, size - left);  // `square` itself
  for (int64_t y = 0; y < size; ++y, out += 3 * size) {
    const uint8_t* row = square + 3 * size * reflect(top + y, size);
    const auto edge = [&](int64_t x) {
      std::memcpy(out + 3 * x, row + 3 * reflect(left + x, size), 3);
    };
    for (int64_t x = 0; x < begin; ++x) edge(x);
    std::memcpy(out + 3 * begin, row + 3 * (left + begin), static_cast<size_t>(3 * (end - begin)));
    for (int64_t x = end; x < size; ++x) edge(x);
  }
}

/// A region of random area and aspect ratio 3/4 … 4/3, as torchvision's RandomResizedCrop draws it.
Region random_region(const Tensor& image, const AugmentConfig& config, Random& random) {
  const int64_t height = image.size(0);
  const int64_t width = image.size(1);
  const double log_ratio = std::log(4.0 / 3.0);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double share =
        config.min_area + (config.max_area - config.min_area) * random.uniform_double();
    const double ratio = std::exp(log_ratio * (2 * random.uniform_double() - 1));
    const double area = share * static_cast<double>(height) * static_cast<double>(width);
    const int64_t w = std::llround(std::sqrt(area * ratio));
    const int64_t h = std::llround(std::sqrt(area / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const auto top = static_cast<int64_t>(random.below(static_cast<uint64_t>(height - h + 1)));
    const auto left = static_cast<int64_t>(random.below(static_cast<uint64_t>(width - w + 1)));
    return {top, left, h, w};
  }
  // Too long an image for such a region: its centre, as near to square as the ratios allow.
  const int64_t w = std::clamp<int64_t>(height * 4 / 3, 1, width);
  const int64_t h = std::clamp<int64_t>(width * 4 / 3, 1, height);
  return {(height - h) / 2, (width - w) / 2, h, w};
}

}  // namespace

void AugmentConfig::describe(Fields& f) {
  f.add_enum("crop", crop, {"center", "random_resized", "pad"},
             "how training images are cut: center, random_resized or pad");
  f.add("padding", padding, "pixels of reflected border, for crop: pad");
  f.add("min_area", min_area, "least share of the image's area, for crop: random_resized");
  f.add("max_area", max_area, "greatest share of the image's area, for crop: random_resized");
  f.add("flip", flip, "mirror half of the images");
}

void check_augment(const AugmentConfig& config, int image_size) {
  if (config.crop == Crop::pad && (config.padding < 0 || config.padding >= image_size)) {
    fail_usage("augment.padding: expected 0 to {} for images of {} pixels, found {}",
               image_size - 1, image_size, config.padding);
  }
  if (!(config.min_area > 0 && config.min_area <= config.max_area && config.max_area <= 1)) {
    fail_usage("augment.min_area, max_area: expected 0 < min ≤ max ≤ 1, found {} and {}",
               config.min_area, config.max_area);
  }
}

void center_crop(const Tensor& image, int size, uint8_t* out) {
  const int64_t height = image.size(0);
  const int64_t width = image.size(1);
  // Cutting before resampling gives the same square without making the rest of the image.
  const int64_t side = std::min(height, width);
  resize_region(image, {(height - side) / 2, (width - side) / 2, side, side}, size, size, out);
}

void augment(const Tensor& image, int size, const AugmentConfig& config, Random random,
             uint8_t* out) {
  switch (config.crop) {
    case Crop::center:
      center_crop(image, size, out);
      break;
    case Crop::random_resized:
      resize_region(image, random_region(image, config, random), size, size, out);
      break;
    case Crop::pad: {
      Tensor square = image;
      if (image.size(0) != size || image.size(1) != size) {
        square = Tensor(DType::u8, {size, size, 3});
        center_crop(image, size, square.as<uint8_t>().data());
      }
      const auto places = static_cast<uint64_t>(2 * config.padding + 1);
      const int64_t top = static_cast<int64_t>(random.below(places)) - config.padding;
      const int64_t left = static_cast<int64_t>(random.below(places)) - config.padding;
      cut_padded(std::as_const(square).as<uint8_t>().data(), size, top, left, out);
      break;
    }
  }
  if (config.flip && (random.next_u32() & 1) != 0) mirror_rows(out, size);
}

}  // namespace hardmoe
