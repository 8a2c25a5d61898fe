#include <algorithm>
#include <cstdlib>

#include "image/foreign/byte_reader.h"
#include "image/foreign/headers.h"

namespace hardmoe {

ForeignHeader bmp_header(std::span<const std::byte> bytes) {
  const ByteReader in(bytes, ByteOrder::little, "BMP");
  const uint64_t header_size = in.number(14, 4);
  const bool os2 = header_size == 12;  // shorter numbers, and no compression
  if (header_size < 40 && !os2)
    fail("a BMP whose header has {} bytes, which is not read", header_size);
  ForeignHeader header;
  const auto width =
      os2 ? static_cast<int32_t>(in.number(18, 2)) : static_cast<int32_t>(in.number(18, 4));
  const auto height =  // negative: from top to bottom
      os2 ? static_cast<int32_t>(in.number(20, 2)) : static_cast<int32_t>(in.number(22, 4));
  header.size = {width, std::abs(int64_t{height})};
  const uint64_t depth = in.number(os2 ? 24 : 28, 2);
  const uint64_t compression = os2 ? 0 : in.number(30, 4);
  constexpr uint64_t plain = 0, bit_fields = 3;
  const bool has_masks = compression == bit_fields && depth == 32;
  header.alpha = has_masks && header_size >= 56 && in.number(66, 4) != 0;
  if (has_masks && header_size < 52) {  // which OpenCV does not look at
    const bool usual =
        in.number(54, 4) == 0xFF0000 && in.number(58, 4) == 0xFF00 && in.number(62, 4) == 0xFF;
    if (!usual) fail("a BMP of colours in an unusual order, which is not read; convert it to PNG");
  }
  if (width > 0 && (compression == plain || compression == bit_fields)) {
    const uint64_t row = (static_cast<uint64_t>(width) * depth + 31) / 32 * 4;
    const uint64_t begin = in.number(10, 4);
    if (begin > bytes.size() || (bytes.size() - begin) / std::max<uint64_t>(1, row) <
                                    static_cast<uint64_t>(header.size.height)) {
      fail("truncated BMP: its {}×{} pixels end behind the file's {} bytes", width,
           header.size.height, bytes.size());
    }
  }
  header.codec_bytes = 4 * area_of(static_cast<uint64_t>(std::max(0, width)),
                                   static_cast<uint64_t>(header.size.height));
  return header;
}

}  // namespace hardmoe
