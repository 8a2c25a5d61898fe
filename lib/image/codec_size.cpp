#include <webp/decode.h>

#include "base/error.h"
#include "image/codec.h"

namespace hardmoe {
namespace {

int64_t number(std::span<const std::byte> bytes, size_t at, size_t width) {
  int64_t value = 0;
  for (size_t i = 0; i < width; ++i) value = value << 8 | std::to_integer<int64_t>(bytes[at + i]);
  return value;
}

/// The frame header (ITU-T T.81, B.2.2) behind other marker segments.
ImageSize jpeg_size(std::span<const std::byte> bytes) {
  for (size_t at = 2; at + 9 <= bytes.size();) {
    const auto marker = number(bytes, at, 2);
    if (marker == 0xFFFF) {  // fill byte
      ++at;
      continue;
    }
    if (marker < 0xFFC0) break;
    const bool frame = marker <= 0xFFCF && marker != 0xFFC4 && marker != 0xFFC8 && marker != 0xFFCC;
    if (frame) return {number(bytes, at + 7, 2), number(bytes, at + 5, 2)};
    const bool alone = marker >= 0xFFD0 && marker <= 0xFFD8;
    at += 2 + (alone ? 0 : static_cast<size_t>(number(bytes, at + 2, 2)));
  }
  fail("damaged or truncated JPEG: no frame header");
}

ImageSize stored_size(std::span<const std::byte> bytes) {
  switch (image_format(bytes)) {
    case ImageFormat::jpeg:
      return jpeg_size(bytes);
    case ImageFormat::png:
      if (bytes.size() < 24) fail("damaged PNG: the file ends too early");
      return {number(bytes, 16, 4), number(bytes, 20, 4)};
    case ImageFormat::webp:
      break;
  }
  int width = 0, height = 0;
  if (WebPGetInfo(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &width, &height) ==
      0) {
    fail("damaged WebP: unreadable header");
  }
  return {width, height};
}

}  // namespace

ImageSize image_size(std::span<const std::byte> bytes) {
  const ImageSize size = stored_size(bytes);
  if (size.width < 1 || size.height < 1) {
    fail("damaged image: its header says {}×{} pixels", size.width, size.height);
  }
  return size;
}

}  // namespace hardmoe
