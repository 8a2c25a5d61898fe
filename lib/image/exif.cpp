#include "image/exif.h"

#include <bit>
#include <cmath>
#include <cstdint>

#include "base/text.h"
#include "image/unicode_text.h"

namespace hardmoe {
namespace {

constexpr uint16_t orientation_tag = 0x0112, keywords_tag = 0x9C9E;
constexpr size_t entry_bytes = 12;

/// A TIFF 6.0 field: what a directory says under one tag.
struct Field {
  uint16_t type = 0;
  uint32_t count = 0;
  size_t at = 0;  ///< of its first value
};

/// Bytes a value of each type has, from 1 (BYTE) to 13 (IFD), and BigTIFF's 16 to 18; 0: no type.
size_t width_of(uint16_t type) {
  constexpr uint8_t widths[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
  return type < std::size(widths) ? widths[type] : 0;
}

class Tiff {
 public:
  explicit Tiff(std::span<const std::byte> bytes)
      : bytes_(bytes),
        big_endian_(bytes.size() >= 8 && bytes[0] == std::byte{'M'} && bytes[1] == std::byte{'M'}),
        valid_(big_endian_ ||
               (bytes.size() >= 8 && bytes[0] == std::byte{'I'} && bytes[1] == std::byte{'I'})) {}

  bool valid() const { return valid_; }
  bool big_endian() const { return big_endian_; }

  /// 0 beyond the end.
  uint64_t number(size_t at, size_t width) const {
    if (at > bytes_.size() || bytes_.size() - at < width) return 0;
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i) {
      const size_t place = big_endian_ ? width - 1 - i : i;
      value |= std::to_integer<uint64_t>(bytes_[at + i]) << (8 * place);
    }
    return value;
  }

  size_t directory() const { return number(4, 4); }
  size_t entries() const { return number(directory(), 2); }
  size_t entry(size_t i) const { return directory() + 2 + entry_bytes * i; }

  std::optional<Field> find(uint16_t tag) const {
    if (!valid_) return {};
    for (size_t i = 0; i < entries() && entry(i) + entry_bytes <= bytes_.size(); ++i) {
      if (number(entry(i), 2) != tag) continue;
      Field field{static_cast<uint16_t>(number(entry(i) + 2, 2)),
                  static_cast<uint32_t>(number(entry(i) + 4, 4)), entry(i) + 8};
      if (width_of(field.type) * field.count > 4) field.at = number(field.at, 4);
      return field;
    }
    return {};
  }

  /// Its first value.
  double value(const Field& field) const {
    const size_t width = width_of(field.type);
    if (field.count == 0 || width == 0) return 0;
    const uint64_t raw = number(field.at, width);
    switch (field.type) {
      case 2: {  // ASCII: one digit
        const bool one = field.count == 1 || number(field.at + 1, 1) == 0;
        return one && raw >= '0' && raw <= '9' ? static_cast<double>(raw) - '0' : 0;
      }
      case 5: {
        const auto below = number(field.at + 4, 4);
        return below == 0 ? 0
                          : static_cast<double>(number(field.at, 4)) / static_cast<double>(below);
      }
      case 6:
        return static_cast<int8_t>(raw);
      case 8:
        return static_cast<int16_t>(raw);
      case 9:
        return static_cast<int32_t>(raw);
      case 10: {
        const auto below = static_cast<int32_t>(number(field.at + 4, 4));
        return below == 0 ? 0
                          : static_cast<double>(static_cast<int32_t>(number(field.at, 4))) / below;
      }
      case 11:
        return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(raw)));
      case 12:
        return std::bit_cast<double>(raw);
      case 17:
        return static_cast<double>(static_cast<int64_t>(raw));
      default:
        return static_cast<double>(raw);
    }
  }

  std::span<const std::byte> bytes_of(const Field& field) const {
    const size_t length = width_of(field.type) * field.count;
    if (field.at > bytes_.size() || bytes_.size() - field.at < length) return {};
    return bytes_.subspan(field.at, length);
  }

 private:
  std::span<const std::byte> bytes_;
  bool big_endian_, valid_;
};

/// Appends numbers in a byte order.
struct TiffWriter {
  std::string& out;
  bool big_endian;

  void number(uint64_t value, size_t width) const {
    for (size_t i = 0; i < width; ++i) {
      const size_t place = big_endian ? width - 1 - i : i;
      out += static_cast<char>(value >> (8 * place));
    }
  }
  void orientation(int value) const {
    number(orientation_tag, 2);
    number(3, 2);  // a SHORT, and one of them
    number(1, 4);
    number(static_cast<uint64_t>(value), 2);
    number(0, 2);
  }
};

std::string new_exif(int orientation) {
  std::string tiff = std::string("II*\0\x08\0\0\0\x01\0", 10);
  const TiffWriter writer{tiff, false};
  writer.orientation(orientation);
  writer.number(0, 4);  // no further directory
  return tiff;
}

}  // namespace

std::optional<int> exif_orientation(std::span<const std::byte> bytes) {
  const Tiff tiff(bytes);
  const auto field = tiff.find(orientation_tag);
  if (!field) return {};
  const double value = tiff.value(*field);
  return value >= 1 && value <= 8 && value == std::floor(value) ? static_cast<int>(value) : 0;
}

std::string exif_with_orientation(std::span<const std::byte> bytes, int orientation) {
  const Tiff tiff(bytes);
  const size_t count = tiff.valid() ? tiff.entries() : 0;
  const size_t end = count == 0 ? 0 : tiff.entry(count) + 4;
  if (count == 0 || count == 0xFFFF || end > bytes.size()) return new_exif(orientation);
  std::string result(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (result.size() % 2 != 0) result += '\0';  // directories begin on word boundaries
  const size_t directory = result.size();
  std::string written;
  const TiffWriter writer{written, tiff.big_endian()};
  // Entries are in the order of their tags.
  size_t kept = 0;
  bool placed = false;
  const auto place = [&] {
    if (!placed) writer.orientation(orientation);
    placed = true;
  };
  for (size_t i = 0; i < count; ++i) {
    const auto tag = tiff.number(tiff.entry(i), 2);
    if (tag == orientation_tag) continue;
    if (tag > orientation_tag) place();
    written.append(result, tiff.entry(i), entry_bytes);
    ++kept;
  }
  place();
  writer.number(tiff.number(tiff.entry(count), 4), 4);  // the next directory, as it was
  std::string start, counted;
  TiffWriter{start, tiff.big_endian()}.number(directory, 4);
  TiffWriter{counted, tiff.big_endian()}.number(kept + 1, 2);
  result.replace(4, 4, start);
  return result + counted + written;
}

std::span<const std::byte> tiff_field(std::span<const std::byte> bytes, uint16_t tag) {
  const Tiff tiff(bytes);
  const auto field = tiff.find(tag);
  return field ? tiff.bytes_of(*field) : std::span<const std::byte>();
}

std::vector<std::string> exif_keywords(std::span<const std::byte> bytes) {
  const Tiff tiff(bytes);
  const auto field = tiff.find(keywords_tag);
  std::vector<std::string> keywords;
  if (!field) return keywords;
  for (const auto& part : split(utf8_of_utf16(tiff.bytes_of(*field)), ';')) {
    if (const auto keyword = trim(part); !keyword.empty()) keywords.emplace_back(keyword);
  }
  return keywords;
}

}  // namespace hardmoe
