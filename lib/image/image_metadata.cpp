#include "image/image_metadata.h"

#include <zlib.h>

#include <cctype>
#include <cstdint>

#include "base/text.h"
#include "image/codec.h"
#include "image/exif.h"

namespace hardmoe {
namespace {

using namespace std::string_view_literals;
using Take = std::function<bool(MetadataKind, std::string_view)>;

constexpr std::string_view exif_lead = "Exif\0\0"sv;
constexpr std::string_view xmp_lead = "http://ns.adobe.com/xap/1.0/\0"sv;
constexpr std::string_view extended_xmp_lead = "http://ns.adobe.com/xmp/extension/\0"sv;
constexpr std::string_view photoshop_lead = "Photoshop 3.0\0"sv;
// Files of nothing but empty segments would otherwise take seconds.
constexpr int most_parts = 1'000'000;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

size_t big_endian(std::string_view text, size_t at, size_t width) {
  size_t value = 0;
  for (size_t i = 0; i < width; ++i) value = value << 8 | static_cast<unsigned char>(text[at + i]);
  return value;
}

size_t little_endian(std::string_view text, size_t at, size_t width) {
  size_t value = 0;
  for (size_t i = width; i > 0; --i) {
    value = value << 8 | static_cast<unsigned char>(text[at + i - 1]);
  }
  return value;
}

/// A segment APP1 or APP13 of a JPEG, or what PNG keeps of one.
bool take_segment(std::string_view data, const Take& take) {
  const auto rest = [&](std::string_view lead) { return data.substr(lead.size()); };
  if (data.starts_with(exif_lead)) return take(MetadataKind::exif, rest(exif_lead));
  if (data.starts_with(xmp_lead)) return take(MetadataKind::xmp, rest(xmp_lead));
  if (data.starts_with(extended_xmp_lead)) {
    return take(MetadataKind::extended_xmp, rest(extended_xmp_lead));
  }
  if (data.starts_with(photoshop_lead)) return take(MetadataKind::photoshop, rest(photoshop_lead));
  return true;
}

/// Marker segments before the first scan (ITU-T T.81, B.1.1).
void walk_jpeg(std::string_view file, const Take& take) {
  size_t at = 2;
  for (int part = 0; part < most_parts && at + 4 <= file.size(); ++part) {
    const auto marker = big_endian(file, at, 2);
    if (marker == 0xFFFF) {  // a fill byte
      ++at;
      continue;
    }
    if (marker < 0xFF01 || marker == 0xFFDA || marker == 0xFFD9) return;  // scan, end
    if (marker == 0xFF01 || (marker >= 0xFFD0 && marker <= 0xFFD8)) {     // alone
      at += 2;
      continue;
    }
    const size_t length = big_endian(file, at + 2, 2);
    if (length < 2 || length > file.size() - at - 2) return;
    const bool wanted = marker == 0xFFE1 || marker == 0xFFED;
    if (wanted && !take_segment(file.substr(at + 4, length - 2), take)) return;
    at += 2 + length;
  }
}

/// zlib's text, up to max_metadata_bytes; what comes before any damage.
std::string inflated(std::string_view packed) {
  std::string text;
  z_stream stream = {};
  if (inflateInit(&stream) != Z_OK) return text;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  char piece[16384];
  int status = Z_OK;
  while (status == Z_OK && text.size() <= max_metadata_bytes) {
    stream.next_out = reinterpret_cast<Bytef*>(piece);
    stream.avail_out = sizeof piece;
    status = inflate(&stream, Z_NO_FLUSH);
    text.append(piece, sizeof piece - stream.avail_out);
  }
  inflateEnd(&stream);
  return text;
}

/// ImageMagick's and older tools' profiles as text: a name, the length, then hexadecimal digits.
std::string raw_profile(std::string_view text) {
  std::string bytes;
  size_t at = text.empty() ? 0 : text.find('\n', 1);  // the name; the text begins with a line end
  while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at])) != 0) ++at;
  at = std::min(text.find('\n', at), text.size());
  int high = -1;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) continue;
    if (high < 0) {
      high = digit;
    } else {
      bytes += static_cast<char>(16 * high + digit);
      high = -1;
    }
  }
  return bytes;
}

/// A text chunk's content by its keyword.
bool take_png_text(std::string_view keyword, std::string_view text, const Take& take) {
  if (keyword == "XML:com.adobe.xmp") return take(MetadataKind::xmp, text);
  constexpr std::string_view lead = "Raw profile type ";
  if (!keyword.starts_with(lead)) return true;
  const std::string_view kind = keyword.substr(lead.size());
  const std::string profile = raw_profile(text);
  const std::string_view data = profile;
  if (kind == "APP1") return take_segment(data, take);
  if (kind == "xmp") return take(MetadataKind::xmp, data);
  if (kind == "8bim" || (kind == "iptc" && data.starts_with("8BIM"))) {
    return take(MetadataKind::photoshop, data);
  }
  if (kind == "iptc") return take(MetadataKind::iptc, data);
  if (kind != "exif") return true;
  return take(MetadataKind::exif,
              data.starts_with(exif_lead) ? data.substr(exif_lead.size()) : data);
}

/// tEXt, zTXt and iTXt (PNG, third edition, 11.3.3).
bool take_png_chunk(std::string_view name, std::string_view data, const Take& take) {
  if (name == "eXIf") {
    return take(MetadataKind::exif,
                data.starts_with(exif_lead) ? data.substr(exif_lead.size()) : data);
  }
  if (name != "tEXt" && name != "zTXt" && name != "iTXt") return true;
  const size_t end = data.substr(0, 80).find('\0');
  if (end == std::string_view::npos) return true;
  const std::string_view keyword = data.substr(0, end);
  if (keyword != "XML:com.adobe.xmp" && !keyword.starts_with("Raw profile type ")) return true;
  std::string_view text = data.substr(end + 1);
  if (name == "tEXt") return take_png_text(keyword, text, take);
  bool packed = true;
  if (name == "iTXt") {  // packed or not, method, language, translated keyword
    if (text.size() < 2) return true;
    packed = text[0] == 1;
    text = text.substr(2);
    for (int i = 0; i < 2; ++i) text = text.substr(std::min(text.find('\0'), text.size() - 1) + 1);
  } else if (!text.empty()) {
    text = text.substr(1);  // method
  }
  return packed ? take_png_text(keyword, inflated(text), take) : take_png_text(keyword, text, take);
}

void walk_png(std::string_view file, const Take& take) {
  constexpr size_t around = 12;  // length, name and checksum
  size_t at = 8;
  for (int part = 0; part < most_parts && at + around <= file.size(); ++part) {
    const size_t length = big_endian(file, at, 4);
    if (length > file.size() - at - around) return;
    if (!take_png_chunk(file.substr(at + 4, 4), file.substr(at + 8, length), take)) return;
    at += around + length;
  }
}

/// Chunks of four letters, a little-endian length, padded bytes.
void walk_webp(std::string_view file, const Take& take) {
  size_t at = 12;
  for (int part = 0; part < most_parts && at + 8 <= file.size(); ++part) {
    const size_t length = little_endian(file, at + 4, 4);
    if (length > file.size() - at - 8) return;
    const std::string_view name = file.substr(at, 4);
    std::string_view data = file.substr(at + 8, length);
    if (name == "EXIF") {
      // Some writers keep JPEG's lead.
      if (data.starts_with(exif_lead)) data = data.substr(exif_lead.size());
      if (!take(MetadataKind::exif, data)) return;
    }
    if (name == "XMP " && !take(MetadataKind::xmp, data)) return;
    at += 8 + length + length % 2;
  }
}

/// The file is itself what EXIF is; XMP, IPTC and Photoshop's resources are fields of its first
/// directory (TIFF/EP, XMP part 3).
void walk_tiff(std::string_view file, const Take& take) {
  struct Place {
    uint16_t tag;
    MetadataKind kind;
  };
  constexpr Place places[] = {
      {700, MetadataKind::xmp}, {33723, MetadataKind::iptc}, {34377, MetadataKind::photoshop}};
  if (!take(MetadataKind::exif, file)) return;
  for (const auto& [tag, kind] : places) {
    const auto field = text_of(tiff_field(std::as_bytes(std::span(file)), tag));
    if (!field.empty() && !take(kind, field)) return;
  }
}

/// XMP's box among those of a JP2 file (XMP part 3, 1.1.4).
void walk_jpeg2000(std::string_view file, const Take& take) {
  constexpr std::string_view xmp_id =
      "uuid\xBE\x7A\xCF\xCB\x97\xA9\x42\xE8\x9C\x71\x99\x94\x91\xE3\xAF\xAC"sv;
  size_t at = 0;
  for (int part = 0; part < most_parts && at + 8 <= file.size(); ++part) {
    const size_t length = big_endian(file, at, 4);
    const size_t rest = file.size() - at;
    if (length < 8 || length > rest) return;  // the codestream, whose box may have no length
    const std::string_view box = file.substr(at + 4, length - 4);
    if (box.starts_with(xmp_id) && !take(MetadataKind::xmp, box.substr(xmp_id.size()))) return;
    at += length;
  }
}

/// As Pillow looks for it (Image.getexif): an attribute or an element, of one digit.
int xmp_orientation(std::string_view packet) {
  constexpr std::string_view name = "tiff:Orientation";
  for (size_t at = packet.find(name); at != std::string_view::npos;
       at = packet.find(name, at + name.size())) {
    std::string_view rest = packet.substr(at + name.size());
    if (rest.starts_with("=\"")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with(">")) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
      return rest[0] >= '1' && rest[0] <= '8' ? rest[0] - '0' : 0;
    }
  }
  return 0;
}

}  // namespace

void for_each_metadata(std::span<const std::byte> image, const Take& take) {
  const std::string_view file = text_of(image);
  const std::string_view known =
      known_image_format(image.first(std::min<size_t>(256, image.size())));
  if (known == "JPEG") walk_jpeg(file, take);
  if (known == "PNG") walk_png(file, take);
  if (known == "WebP") walk_webp(file, take);
  if (known == "TIFF") walk_tiff(file, take);
  if (known == "JPEG 2000") walk_jpeg2000(file, take);
}

int image_orientation(std::span<const std::byte> image) {
  std::optional<int> exif;
  int xmp = 0;
  for_each_metadata(image, [&](MetadataKind kind, std::string_view data) {
    if (kind == MetadataKind::exif) exif = exif_orientation(std::as_bytes(std::span(data)));
    if (kind == MetadataKind::xmp && xmp == 0) xmp = xmp_orientation(data);
    return !exif;
  });
  return exif ? *exif : xmp;
}

}  // namespace hardmoe
