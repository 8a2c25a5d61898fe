#include <algorithm>

#include "image/foreign/byte_reader.h"
#include "image/foreign/headers.h"

namespace hardmoe {
namespace {

/// Bytes of the palette that a field of flags tells of.
size_t palette_bytes(uint64_t flags) {
  return (flags & 0x80) != 0 ? size_t{3} << ((flags & 7) + 1) : 0;
}

}  // namespace

ForeignHeader gif_header(std::span<const std::byte> bytes) {
  const ByteReader in(bytes, ByteOrder::little, "GIF");
  auto width = static_cast<int64_t>(in.number(6, 2));
  auto height = static_cast<int64_t>(in.number(8, 2));
  size_t at = 13 + palette_bytes(in.number(10, 1));
  constexpr uint64_t extension = 0x21, picture = 0x2C;
  while (in.number(at, 1) == extension) {
    at += 2;
    while (const uint64_t length = in.number(at, 1)) at += 1 + length;  // sub-blocks
    ++at;
  }
  if (in.number(at, 1) != picture) fail("damaged GIF: it holds no picture");
  // A first picture that is larger than the canvas makes it larger, as in Pillow.
  const auto field = [&](size_t i) { return static_cast<int64_t>(in.number(at + 1 + 2 * i, 2)); };
  width = std::max(width, field(0) + field(2));
  height = std::max(height, field(1) + field(3));
  ForeignHeader header;
  header.size = {width, height};
  header.codec_bytes = width;
  return header;
}

}  // namespace hardmoe
