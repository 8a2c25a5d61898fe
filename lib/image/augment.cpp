#include "image/augment.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "image/view_maker.h"

namespace hardmoe {

void AugmentConfig::describe(Fields& f) {
  f.add_enum("crop", crop, {"center", "random_resized", "pad"}, "how training images are cut");
  f.add("padding", padding, "pixels of reflected border, for crop: pad");
  f.add("min_area", min_area, "least share of the image's area, for crop: random_resized");
  f.add("max_area", max_area, "greatest share of the image's area, for crop: random_resized");
  f.add("flip", flip, "mirror half of the images");
  f.add("jitter", jitter,
        "greatest change of brightness, contrast and saturation, each by a factor from 1 - jitter "
        "to 1 + jitter; 0: none");
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
  if (!(config.jitter >= 0 && config.jitter <= 1)) {
    fail_usage("augment.jitter: expected 0 to 1, found {}", config.jitter);
  }
}

Region center_region(int64_t height, int64_t width, double share) {
  const auto short_side = static_cast<double>(std::min(height, width));
  const int64_t side = std::max<int64_t>(1, std::llround(share * short_side));
  return {(height - side) / 2, (width - side) / 2, side, side};
}

Region random_region(int64_t height, int64_t width, const AugmentConfig& config, Random& random) {
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

void center_crop(const Tensor& image, int size, uint8_t* out) {
  ViewMaker(size, Purpose::evaluation, {}).write({image, 1}, Random(0, RandomUse::augment), out);
}

void augment(const Tensor& image, int size, const AugmentConfig& config, const Random& random,
             uint8_t* out) {
  ViewMaker(size, Purpose::training, config).write({image, 1}, random, out);
}

}  // namespace hardmoe
