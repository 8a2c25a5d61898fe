#include <array>
#include <vector>

#include "image/foreign/byte_reader.h"
#include "image/foreign/headers.h"

namespace hardmoe {
namespace {

/// Strips and tiles of the largest images are fewer.
constexpr uint64_t most_values = uint64_t{1} << 22;

/// A directory's entries, of which only some tags are looked for.
class Directory {
 public:
  explicit Directory(std::span<const std::byte> bytes)
      : in_(bytes, bytes[0] == std::byte{'M'} ? ByteOrder::big : ByteOrder::little, "TIFF"),
        big_(in_.number(2, 2) == 43),
        begin_(big_ ? in_.number(8, 8) : in_.number(4, 4)),
        count_(in_.number(begin_, big_ ? 8 : 2)) {
    if (count_ > 0xFFFF) fail("damaged TIFF: a directory of {} entries", count_);
    in_.number(at(count_), big_ ? 8 : 4);  // all of it is there
  }

  /// The values under `tag`; empty if there are none. Throws Error if they lie outside the file.
  std::vector<uint64_t> values(unsigned tag) const {
    for (size_t i = 0; i < count_; ++i) {
      if (in_.number(at(i), 2) != tag) continue;
      const size_t width = width_of(in_.number(at(i) + 2, 2));
      const size_t field = big_ ? 8 : 4;
      const uint64_t count = in_.number(at(i) + 4, field);
      size_t place = at(i) + 4 + field;
      if (width == 0 || count == 0) return {};
      if (count > most_values) fail("damaged TIFF: a field of {} values", count);
      if (count > in_.size() / width) in_.number(in_.size(), 1);  // more than the file has bytes
      if (count * width > field) place = in_.number(place, field);
      std::vector<uint64_t> values(count);
      for (size_t v = 0; v < count; ++v) values[v] = in_.number(place + width * v, width);
      return values;
    }
    return {};
  }

  uint64_t value(unsigned tag, uint64_t otherwise) const {
    const auto found = values(tag);
    return found.empty() ? otherwise : found[0];
  }

 private:
  /// Of whole numbers: BYTE, SHORT, LONG, IFD, LONG8, IFD8; 0 for others.
  static size_t width_of(uint64_t type) {
    switch (type) {
      case 1:
        return 1;
      case 3:
        return 2;
      case 4:
      case 13:
        return 4;
      case 16:
      case 18:
        return 8;
      default:
        return 0;
    }
  }
  size_t at(size_t entry) const { return begin_ + (big_ ? 8 + 20 * entry : 2 + 12 * entry); }

  ByteReader in_;
  bool big_;
  size_t begin_, count_;
};

enum Tag : unsigned {
  subfile_type = 254,
  image_width = 256,
  image_length = 257,
  bits_per_sample = 258,
  photometric = 262,
  strip_offsets = 273,
  orientation = 274,
  samples_per_pixel = 277,
  rows_per_strip = 278,
  strip_byte_counts = 279,
  tile_width = 322,
  tile_length = 323,
  tile_offsets = 324,
  tile_byte_counts = 325,
  extra_samples = 338,
  sample_format = 339,
  dng_version = 50706,
};

bool is_raw(std::span<const std::byte> bytes, const Directory& directory) {
  constexpr uint64_t reduced = 1;  // a thumbnail of what a further directory holds
  constexpr uint64_t filter_array = 32803, linear_raw = 34892;
  const uint64_t colors = directory.value(photometric, 0);
  const bool canon = bytes.size() > 10 && bytes[8] == std::byte{'C'} && bytes[9] == std::byte{'R'};
  return canon || (directory.value(subfile_type, 0) & reduced) != 0 ||
         !directory.values(dng_version).empty() || colors == filter_array || colors == linear_raw;
}

/// A few compressors end strips with less than the format asks for, but none before their begin.
void require_within(const Directory& directory, Tag offsets_tag, Tag counts_tag, size_t size) {
  const auto offsets = directory.values(offsets_tag), counts = directory.values(counts_tag);
  for (size_t i = 0; i < offsets.size(); ++i) {
    const uint64_t count = i < counts.size() ? counts[i] : 1;
    if (offsets[i] > size || count > size - offsets[i]) {
      fail("truncated TIFF: {} {} of {} ends behind the file's {} bytes",
           offsets_tag == tile_offsets ? "tile" : "strip", i + 1, offsets.size(), size);
    }
  }
}

}  // namespace

ForeignHeader tiff_header(std::span<const std::byte> bytes) {
  const Directory directory(bytes);
  if (is_raw(bytes, directory)) {
    fail("a camera's raw file, whose first picture is a thumbnail; develop it to JPEG or PNG");
  }
  ForeignHeader header;
  const uint64_t width = directory.value(image_width, 0), height = directory.value(image_length, 0);
  constexpr uint64_t most = uint64_t{1} << 31;
  if (width >= most || height >= most) fail("damaged TIFF: {}×{} pixels", width, height);
  header.size = {static_cast<int64_t>(width), static_cast<int64_t>(height)};
  const bool tiled = !directory.values(tile_offsets).empty();
  if (tiled) {
    require_within(directory, tile_offsets, tile_byte_counts, bytes.size());
  } else if (!directory.values(strip_offsets).empty()) {
    require_within(directory, strip_offsets, strip_byte_counts, bytes.size());
  } else {
    fail("damaged TIFF: it names no strips and no tiles");
  }
  const uint64_t samples = directory.value(samples_per_pixel, 1);
  header.bits = static_cast<int>(std::min<uint64_t>(64, directory.value(bits_per_sample, 1)));
  const uint64_t colors = directory.value(photometric, 1);
  constexpr uint64_t last_usual = 6;  // both grays, RGB, palette, mask, CMYK, YCbCr
  if (colors > last_usual) {
    fail("a TIFF of CIELab or other colours (photometric interpretation {}); convert it to PNG",
         colors);
  }
  if (directory.value(sample_format, 1) == 3) {
    fail("a TIFF of floating-point samples, whose black and white nothing says; convert it to PNG");
  }
  if (colors == 5 && header.bits != 8) {
    fail("a TIFF of CMYK with {} bits a sample, which is not read; convert it to PNG", header.bits);
  }
  const auto extra = directory.values(extra_samples);
  if (colors <= 1 && samples > 1 && header.bits > 8 && !extra.empty() && extra[0] != 0) {
    fail("a TIFF of 16-bit gray with transparency, which libtiff drops; convert it to PNG");
  }
  const int64_t turn = static_cast<int64_t>(directory.value(orientation, 0) & 0xFFFF);
  header.orientation = turn >= 1 && turn <= 8 ? static_cast<int>(turn) : 0;
  // Four bytes of RGBA a pixel, and a strip or a tile unpacked.
  const uint64_t rows = std::min(height, directory.value(rows_per_strip, height));
  const int64_t piece =
      tiled ? area_of(directory.value(tile_width, 0), directory.value(tile_length, 0))
            : area_of(width, rows);
  const auto sample_bits = static_cast<int64_t>(std::min<uint64_t>(samples, 16)) * header.bits;
  header.codec_bytes = 4 * area_of(width, height) + piece * sample_bits / 8;
  return header;
}

}  // namespace hardmoe
