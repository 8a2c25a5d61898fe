#include "image/codec.h"

#include <algorithm>

#include "base/error.h"
#include "base/signals.h"
#include "image/augment.h"

namespace hardmoe {
namespace {

/// The upright image's pixel (y, x) is the stored image's, after counting y or x from the other end
/// and then swapping them, where so said. (Where row 0 and column 0 lie: EXIF 2.32, §4.6.4 A.)
struct Turn {
  bool transposed, flip_rows, flip_columns;
};

Turn turn_of(int orientation) {
  return {orientation >= 5,
          orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8,
          orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7};
}

}  // namespace

std::string_view extension_of(ImageFormat format) {
  return format == ImageFormat::jpeg ? "jpg" : format == ImageFormat::png ? "png" : "webp";
}

void check_pixels(int64_t width, int64_t height) {
  if (width < 1 || height < 1 || width > max_pixels / height) {
    fail("an image of {}×{} pixels; at most {} million are accepted", width, height,
         max_pixels / 1'000'000);
  }
}

void check_decode_memory(int64_t bytes, std::string_view what, int64_t width, int64_t height) {
  if (bytes <= max_decode_bytes) return;
  fail("{} of {}×{} pixels takes {} MB to decode; at most {} MB are given to an image", what, width,
       height, bytes / 1'000'000, max_decode_bytes / 1'000'000);
}

Region stored_region(const Region& upright, int orientation, int64_t height, int64_t width) {
  const auto [transposed, flip_rows, flip_columns] = turn_of(orientation);
  Region region = upright;
  if (flip_rows) region.top = (transposed ? width : height) - region.top - region.height;
  if (flip_columns) region.left = (transposed ? height : width) - region.left - region.width;
  if (!transposed) return region;
  return {region.left, region.top, region.width, region.height};
}

Tensor turn_upright(Tensor image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const int64_t height = image.size(0);
  const int64_t width = image.size(1);
  const auto [transposed, flip_rows, flip_columns] = turn_of(orientation);
  Tensor upright = Tensor::uninitialized(
      DType::u8, {transposed ? width : height, transposed ? height : width, 3});
  const auto from = image.as<uint8_t>();
  const auto to = upright.as<uint8_t>();
  // In squares that stay in the processor's cache, whose rows of one are columns of the other.
  constexpr int64_t side = 32;
  const int64_t rows = upright.size(0), columns = upright.size(1);
  for (int64_t top = 0; top < rows; top += side) {
    for (int64_t left = 0; left < columns; left += side) {
      for (int64_t y = top; y < std::min(top + side, rows); ++y) {
        for (int64_t x = left; x < std::min(left + side, columns); ++x) {
          const int64_t v = flip_rows ? rows - 1 - y : y;
          const int64_t u = flip_columns ? columns - 1 - x : x;
          const auto source = static_cast<size_t>(3 * (transposed ? u * width + v : v * width + u));
          const auto target = static_cast<size_t>(3 * (y * columns + x));
          for (size_t c = 0; c < 3; ++c) to[target + c] = from[source + c];
        }
      }
    }
  }
  return upright;
}

Tensor decode_image(std::span<const std::byte> bytes) {
  StoredImage stored;
  switch (image_format(bytes)) {
    case ImageFormat::jpeg:
      stored = decode_jpeg(bytes, OnSignal::stop);
      break;
    case ImageFormat::png:
      stored = decode_png(bytes, OnSignal::stop);
      break;
    case ImageFormat::webp:
      stored = decode_webp(bytes, OnSignal::stop);
      break;
  }
  throw_if_interrupted();
  return turn_upright(std::move(stored.pixels), stored.orientation);
}

}  // namespace hardmoe
