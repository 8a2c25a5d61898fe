#include "data/codec.h"

#include "base/error.h"
#include "data/augment.h"

namespace hardmoe {
namespace {

/// Reads numbers of a TIFF structure in its byte order; 0 beyond its end.
struct TiffReader {
  std::span<const std::byte> bytes;
  bool big_endian;

  uint32_t number(size_t at, size_t width) const {
    if (at > bytes.size() || bytes.size() - at < width) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < width; ++i) {
      const size_t place = big_endian ? width - 1 - i : i;
      value |= std::to_integer<uint32_t>(bytes[at + i]) << (8 * place);
    }
    return value;
  }
};

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

int exif_orientation(std::span<const std::byte> tiff) {
  if (tiff.size() < 8 || tiff[0] != tiff[1]) return 1;
  const TiffReader reader{tiff, tiff[0] == std::byte{'M'}};
  if (!reader.big_endian && tiff[0] != std::byte{'I'}) return 1;
  const size_t directory = reader.number(4, 4);
  const size_t entries = reader.number(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (reader.number(entry, 2) != 0x0112) continue;  // Orientation, a SHORT
    const uint32_t value = reader.number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
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
  Tensor upright(DType::u8, {transposed ? width : height, transposed ? height : width, 3});
  const auto from = image.as<uint8_t>();
  const auto to = upright.as<uint8_t>();
  for (int64_t y = 0; y < upright.size(0); ++y) {
    for (int64_t x = 0; x < upright.size(1); ++x) {
      const int64_t v = flip_rows ? upright.size(0) - 1 - y : y;
      const int64_t u = flip_columns ? upright.size(1) - 1 - x : x;
      const auto source = static_cast<size_t>(3 * (transposed ? u * width + v : v * width + u));
      const auto target = static_cast<size_t>(3 * (y * upright.size(1) + x));
      for (size_t c = 0; c < 3; ++c) to[target + c] = from[source + c];
    }
  }
  return upright;
}

Tensor decode_image(std::span<const std::byte> bytes) {
  StoredImage stored;
  switch (image_format(bytes)) {
    case ImageFormat::jpeg:
      stored = decode_jpeg(bytes);
      break;
    case ImageFormat::png:
      stored = decode_png(bytes);
      break;
    case ImageFormat::webp:
      stored = decode_webp(bytes);
      break;
  }
  return turn_upright(std::move(stored.pixels), stored.orientation);
}

}  // namespace hardmoe
