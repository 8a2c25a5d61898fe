#include <webp/decode.h>

#include <vector>

#include "base/error.h"
#include "data/codec.h"

namespace hardmoe {
namespace {

/// The EXIF chunk of a RIFF file: chunks of four letters, a little-endian length, padded bytes.
int webp_orientation(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  size_t at = 12;
  while (at + 8 <= text.size()) {
    size_t length = 0;
    for (size_t i = 0; i < 4; ++i) length |= std::to_integer<size_t>(bytes[at + 4 + i]) << (8 * i);
    const size_t begin = at + 8;
    if (length > text.size() - begin) return 1;
    if (text.substr(at, 4) == "EXIF") {
      // Some writers keep JPEG's lead "Exif\0\0".
      const bool lead = text.substr(begin, 4) == "Exif" && length > 6;
      return exif_orientation(bytes.subspan(begin + (lead ? 6 : 0), length - (lead ? 6 : 0)));
    }
    at = begin + length + length % 2;
  }
  return 1;
}

}  // namespace

StoredImage decode_webp(std::span<const std::byte> bytes) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) {
    fail("damaged WebP: unreadable header");
  }
  if (features.has_animation != 0) fail("animated WebP; only still images are accepted");
  check_pixels(features.width, features.height);
  const auto width = static_cast<size_t>(features.width);
  const auto height = static_cast<size_t>(features.height);
  StoredImage image{Tensor(DType::u8, {features.height, features.width, 3}),
                    webp_orientation(bytes)};
  uint8_t* pixels = image.pixels.as<uint8_t>().data();
  if (features.has_alpha == 0) {
    if (WebPDecodeRGBInto(data, bytes.size(), pixels, 3 * width * height, 3 * features.width) ==
        nullptr) {
      fail("damaged or truncated WebP");
    }
    return image;
  }
  std::vector<uint8_t> rgba(4 * width * height);
  if (WebPDecodeRGBAInto(data, bytes.size(), rgba.data(), rgba.size(), 4 * features.width) ==
      nullptr) {
    fail("damaged or truncated WebP");
  }
  for (size_t i = 0; i < width * height; ++i) {
    for (size_t c = 0; c < 3; ++c) pixels[3 * i + c] = over_white(rgba[4 * i + c], rgba[4 * i + 3]);
  }
  return image;
}

}  // namespace hardmoe
