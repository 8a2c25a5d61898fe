#include "image/foreign/byte_reader.h"
#include "image/foreign/headers.h"

namespace hardmoe {
namespace {

constexpr uint32_t box_name(const char (&name)[5]) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(name[i]);
  return value;
}

/// Calls take(name, begin, end) for each box between the places until it returns false.
template <class Take>
void for_each_box(const ByteReader& in, size_t at, size_t end, const Take& take) {
  while (at + 8 <= end) {
    uint64_t length = in.number(at, 4);
    const auto name = static_cast<uint32_t>(in.number(at + 4, 4));
    size_t head = 8;
    if (length == 1) {
      length = in.number(at + 8, 8);
      head = 16;
    }
    if (length == 0) length = end - at;
    if (length < head) fail("damaged JPEG 2000: a box of {} bytes", length);
    if (length > end - at) {
      fail("truncated JPEG 2000: a box ends behind the file's {} bytes", in.size());
    }
    if (!take(name, at + head, at + length)) return;
    at += length;
  }
}

/// Colours that are other than they are taken for.
void require_plain_colors(const ByteReader& in, size_t begin, size_t end) {
  for_each_box(in, begin, end, [&](uint32_t name, size_t at, size_t) {
    if (name != box_name("colr")) return true;
    constexpr uint64_t enumerated = 1, rgb = 16, gray = 17;
    if (in.number(at, 1) != enumerated) return true;  // an ICC profile, of RGB or gray
    const uint64_t space = in.number(at + 3, 4);
    if (space != rgb && space != gray) {
      fail("a JPEG 2000 of colour space {} (sRGB and gray are read); convert it to PNG",
           space == 12   ? "CMYK"
           : space == 14 ? "CIELab"
           : space == 18 ? "sYCC"
                         : std::to_string(space));
    }
    return false;  // the first one counts
  });
}

}  // namespace

ForeignHeader jpeg2000_header(std::span<const std::byte> bytes) {
  const ByteReader in(bytes, ByteOrder::big, "JPEG 2000");
  constexpr uint64_t start_and_size = 0xFF4FFF51;
  size_t codestream = 0;
  if (in.number(0, 4) != start_and_size) {
    bool found = false;
    for_each_box(in, 0, bytes.size(), [&](uint32_t name, size_t begin, size_t end) {
      if (name == box_name("jp2h")) require_plain_colors(in, begin, end);
      if (name != box_name("jp2c")) return true;
      codestream = begin;
      found = true;
      return false;
    });
    if (!found || in.number(codestream, 4) != start_and_size) {
      fail("truncated JPEG 2000: it has no codestream");
    }
  }
  // SIZ (annex A, table A.9)
  const size_t siz = codestream + 6;
  const auto field = [&](size_t i) { return in.number(siz + 2 + 4 * i, 4); };
  const uint64_t right = field(0), bottom = field(1), left = field(2), top = field(3);
  if (right <= left || bottom <= top) fail("damaged JPEG 2000: its header says no pixels");
  ForeignHeader header;
  header.size = {static_cast<int64_t>(right - left), static_cast<int64_t>(bottom - top)};
  const uint64_t components = in.number(siz + 34, 2);
  if (components != 1 && components != 3 && components != 4) {
    fail("a JPEG 2000 of {} components (gray, RGB and RGBA are read); convert it to PNG",
         components);
  }
  header.alpha = components == 4;
  for (size_t i = 0; i < components; ++i) {
    const uint64_t depth = in.number(siz + 36 + 3 * i, 1);
    if (in.number(siz + 37 + 3 * i, 2) != 0x0101) {
      fail("a JPEG 2000 of components at reduced resolution, which is not read; convert it to PNG");
    }
    const int bits = static_cast<int>(depth & 0x7F) + 1;
    if ((depth & 0x80) != 0 || bits > 16 || (i > 0 && bits != header.bits)) {
      fail("a JPEG 2000 of signed, unequal or more than 16 bits; convert it to PNG");
    }
    header.bits = bits;
  }
  // OpenJPEG's samples of 4 bytes and some more, and OpenCV's copy.
  const int64_t sample_bytes = 5 + (header.bits > 8 ? 2 : 1);
  header.codec_bytes =
      static_cast<int64_t>(components) * sample_bytes * area_of(right - left, bottom - top);
  return header;
}

}  // namespace hardmoe
