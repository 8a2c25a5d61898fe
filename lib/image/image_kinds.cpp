// Which format a file is, by its first bytes: those that are read, and those that are named when
// they are not.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "image/codec.h"

namespace hardmoe {
namespace {

using namespace std::string_view_literals;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Magic {
  std::string_view bytes, name;
};

/// Formats that nothing but their first bytes tells.
constexpr std::array magics = {
    Magic{"\xFF\xD8\xFF"sv, "JPEG"},
    Magic{"\x89PNG\r\n\x1A\n"sv, "PNG"},
    Magic{"GIF87a"sv, "GIF"},
    Magic{"GIF89a"sv, "GIF"},
    Magic{"II*\0"sv, "TIFF"},  // cameras' raw files, too
    Magic{"MM\0*"sv, "TIFF"},
    Magic{"II+\0"sv, "TIFF"},
    Magic{"MM\0+"sv, "TIFF"},
    Magic{"II\xBC"sv, "JPEG XR"},
    Magic{"\xFF\x0A"sv, "JPEG XL"},
    Magic{"\0\0\0\x0CJXL \r\n\x87\n"sv, "JPEG XL"},
    Magic{"\0\0\0\x0CjP  \r\n\x87\n"sv, "JPEG 2000"},
    Magic{"\xFF\x4F\xFF\x51"sv, "JPEG 2000"},
    Magic{"8BPS"sv, "PSD"},
    Magic{"gimp xcf"sv, "XCF"},
    Magic{"\x8AMNG\r\n\x1A\n"sv, "MNG"},
    Magic{"\x8BJNG\r\n\x1A\n"sv, "JNG"},
    Magic{"v/1\x01"sv, "OpenEXR"},
    Magic{"#?RADIANCE"sv, "Radiance HDR"},
    Magic{"qoif"sv, "QOI"},
    Magic{"DDS "sv, "DDS"},
    Magic{"<svg"sv, "SVG"},
};

uint32_t little_endian(std::string_view text, size_t at, size_t width) {
  uint32_t value = 0;
  for (size_t i = 0; i < width; ++i) {
    value |= static_cast<uint32_t>(static_cast<unsigned char>(text[at + i])) << (8 * i);
  }
  return value;
}

/// "BM" alone begins many a text: the reserved words are 0, and the second header's size is one of
/// those there are.
bool is_bmp(std::string_view text) {
  if (!text.starts_with("BM") || text.size() < 18) return false;
  constexpr std::array<uint32_t, 8> sizes = {12, 16, 40, 52, 56, 64, 108, 124};
  return little_endian(text, 6, 4) == 0 &&
         std::find(sizes.begin(), sizes.end(), little_endian(text, 14, 4)) != sizes.end();
}

/// Icons and cursors: a count of pictures, and a first one whose reserved byte is 0.
bool is_ico(std::string_view text) {
  if (text.size() < 22 || (!text.starts_with("\0\0\1\0"sv) && !text.starts_with("\0\0\2\0"sv))) {
    return false;
  }
  return little_endian(text, 4, 2) >= 1 && text[9] == '\0' && little_endian(text, 18, 4) >= 22;
}

/// ISO base media files tell by the brands of their first box.
std::string_view kind_of_brands(std::string_view text) {
  if (text.size() < 16 || text.substr(4, 4) != "ftyp") return "";
  const size_t length = static_cast<unsigned char>(text[3]);  // of the box; 255 bytes are plenty
  const std::string_view box = text.substr(0, std::min(text.size(), std::max<size_t>(length, 16)));
  std::string_view kind;
  for (size_t at = 8; at + 4 <= box.size(); at += at == 8 ? 8 : 4) {  // between them, the version
    const std::string_view brand = box.substr(at, 4);
    if (brand == "avif" || brand == "avis") return "AVIF";
    if (brand == "crx ") return "Canon CR3";
    const bool heic =
        brand.starts_with("hei") || brand.starts_with("hev") || brand == "mif1" || brand == "msf1";
    if (heic) kind = "HEIC";
  }
  return kind;
}

/// Portable bitmaps: P1 to P6, a blank and a number or a comment; P7 and its first field.
bool is_pnm(std::string_view text) {
  if (text.size() < 4 || text[0] != 'P') return false;
  if (text[1] == '7')
    return text[2] == '\n' && (text[3] == '#' || (text[3] >= 'A' && text[3] <= 'Z'));
  const bool blank = text[2] == '\n' || text[2] == ' ' || text[2] == '\r' || text[2] == '\t';
  return text[1] >= '1' && text[1] <= '6' && blank &&
         (text[3] == '#' || (text[3] >= '0' && text[3] <= '9'));
}

/// What downloads and checkouts leave in an image's place.
std::string_view impostor(std::string_view text) {
  while (!text.empty() && (text[0] == ' ' || text[0] == '\n' || text[0] == '\r')) {
    text.remove_prefix(1);
  }
  const auto begins = [&](std::string_view tag) {
    return text.size() >= tag.size() &&
           std::equal(tag.begin(), tag.end(), text.begin(),
                      [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
  };
  if (begins("<!doctype html") || begins("<html")) return "an HTML page, not an image";
  if (begins("version https://git-lfs.")) {
    return "a Git LFS pointer, not an image; fetch the files (git lfs pull)";
  }
  return "";
}

}  // namespace

std::string_view known_image_format(std::span<const std::byte> head) {
  const std::string_view text = text_of(head);
  for (const auto& [bytes, name] : magics) {
    if (text.starts_with(bytes)) return name;
  }
  if (text.size() >= 12 && text.starts_with("RIFF") && text.substr(8, 4) == "WEBP") return "WebP";
  if (const auto kind = kind_of_brands(text); !kind.empty()) return kind;
  if (is_bmp(text)) return "BMP";
  if (is_ico(text)) return "ICO";
  if (is_pnm(text)) return "PNM";
  const bool xml = text.starts_with("<?xml") || text.starts_with("<!--");
  if (xml && text.substr(0, 1024).find("<svg") != std::string_view::npos) return "SVG";
  return "";
}

ImageFormat image_format(std::span<const std::byte> bytes) {
  const std::string_view known = known_image_format(bytes);
  if (known == "JPEG") return ImageFormat::jpeg;
  if (known == "PNG") return ImageFormat::png;
  if (known == "WebP") return ImageFormat::webp;
  if (bytes.empty()) fail("the image is empty");
  if (!known.empty()) {
    const bool vowel = std::string_view("AIEO").find(known[0]) != std::string_view::npos ||
                       known == "MNG" || known == "XCF" || known == "SVG";
    fail("{} {} image, which is not read; convert it to PNG or JPEG", vowel ? "an" : "a", known);
  }
  if (const auto what = impostor(text_of(bytes)); !what.empty()) fail("{}", what);
  fail("not an image of a known format ({} bytes)", bytes.size());
}

}  // namespace hardmoe
