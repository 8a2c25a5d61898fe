// An orientation written into an encoded image, whose pixels stay as they are.
#include <webp/decode.h>
#include <zlib.h>

#include "base/error.h"
#include "image/codec.h"
#include "image/exif.h"
#include "image/image_metadata.h"

namespace hardmoe {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view exif_lead = "Exif\0\0"sv;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

size_t number(std::string_view text, size_t at, size_t width, bool big_endian) {
  size_t value = 0;
  for (size_t i = 0; i < width; ++i) {
    const size_t place = big_endian ? width - 1 - i : i;
    value |= size_t{static_cast<unsigned char>(text[at + i])} << (8 * place);
  }
  return value;
}

std::string number_of(size_t value, size_t width, bool big_endian) {
  std::string text;
  for (size_t i = 0; i < width; ++i) {
    const size_t place = big_endian ? width - 1 - i : i;
    text += static_cast<char>(value >> (8 * place));
  }
  return text;
}

[[noreturn]] void refuse() { fail("damaged image: it ends too early"); }

std::string turned_exif(std::string_view tiff, int orientation) {
  return exif_with_orientation(std::as_bytes(std::span(tiff)), orientation);
}

/// The EXIF segment takes its old place, or comes behind JFIF's own, where most readers expect it.
std::string with_jpeg_segment(std::string_view file, int orientation) {
  constexpr size_t most = 0xFFFF - 2;  // bytes in a segment
  size_t begin = 2, end = 2;           // what the new segment replaces
  std::string_view old;
  for (size_t at = 2; at + 4 <= file.size();) {
    const size_t marker = number(file, at, 2, true);
    if (marker == 0xFFFF) {  // a fill byte
      ++at;
      continue;
    }
    if (marker < 0xFFC0 || marker == 0xFFDA || (marker >= 0xFFD0 && marker <= 0xFFD9)) break;
    const size_t length = number(file, at + 2, 2, true);
    if (length < 2 || length > file.size() - at - 2) refuse();
    const std::string_view data = file.substr(at + 4, length - 2);
    if (marker == 0xFFE1 && data.starts_with(exif_lead)) {
      begin = at;
      end = at + 2 + length;
      old = data.substr(exif_lead.size());
      break;
    }
    at += 2 + length;
    if (marker == 0xFFE0 && begin == at - 2 - length) begin = end = at;
  }
  std::string tiff = turned_exif(old, orientation);
  if (tiff.size() + exif_lead.size() > most) tiff = turned_exif("", orientation);
  std::string result(file.substr(0, begin));
  result += "\xFF\xE1";
  result += number_of(2 + exif_lead.size() + tiff.size(), 2, true);
  result += exif_lead;
  result += tiff;
  result += file.substr(end);
  return result;
}

std::string png_chunk(std::string_view name, std::string_view data) {
  std::string chunk = number_of(data.size(), 4, true);
  chunk += name;
  chunk += data;
  const auto* from = reinterpret_cast<const Bytef*>(chunk.data()) + 4;
  chunk += number_of(crc32(0, from, static_cast<uInt>(chunk.size() - 4)), 4, true);
  return chunk;
}

/// The chunk eXIf comes right behind the header, before any text that holds EXIF as older programs have
/// it: the first one counts.
std::string with_png_chunk(std::string_view file, int orientation) {
  constexpr size_t around = 12;
  std::string result(file.substr(0, 8));
  std::string_view old;
  size_t header_end = std::string::npos;
  bool has_pixels = false;
  for (size_t at = 8; at < file.size();) {
    if (file.size() - at < around) break;  // stray bytes behind the end
    const size_t length = number(file, at, 4, true);
    if (length > file.size() - at - around) refuse();
    const std::string_view name = file.substr(at + 4, 4);
    if (name == "eXIf") {
      old = file.substr(at + 8, length);
    } else {
      result += file.substr(at, around + length);
      has_pixels = has_pixels || name == "IDAT";
      if (name == "IHDR" && header_end == std::string::npos) header_end = result.size();
    }
    at += around + length;
  }
  if (header_end == std::string::npos || !has_pixels) refuse();
  return result.insert(header_end, png_chunk("eXIf", turned_exif(old, orientation)));
}

std::string riff_chunk(std::string_view name, std::string_view data) {
  std::string chunk(name);
  chunk += number_of(data.size(), 4, false);
  chunk += data;
  if (data.size() % 2 != 0) chunk += '\0';
  return chunk;
}

/// The extended header that metadata need; of a simple file it is made.
std::string extended_header(std::string_view file) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(reinterpret_cast<const uint8_t*>(file.data()), file.size(), &features) !=
      VP8_STATUS_OK) {
    refuse();
  }
  std::string header(1, static_cast<char>(features.has_alpha != 0 ? 0x10 : 0));
  header += number_of(0, 3, false);
  header += number_of(static_cast<size_t>(features.width - 1), 3, false);
  header += number_of(static_cast<size_t>(features.height - 1), 3, false);
  return header;
}

/// WebP Container Specification: VP8X first, and EXIF behind the pixels, before XMP.
std::string with_webp_chunk(std::string_view file, int orientation) {
  constexpr char has_exif = 0x08;
  std::string header, before, after;
  std::string_view old;
  for (size_t at = 12; at + 8 <= file.size();) {
    const size_t length = number(file, at + 4, 4, false);
    if (length > file.size() - at - 8) refuse();
    const std::string_view name = file.substr(at, 4), data = file.substr(at + 8, length);
    if (name == "VP8X" && length >= 10) {
      header = data;
    } else if (name == "EXIF") {
      old = data.starts_with(exif_lead) ? data.substr(exif_lead.size()) : data;
    } else {
      (name == "XMP " || !after.empty() ? after : before) += riff_chunk(name, data);
    }
    at += 8 + length + length % 2;
  }
  if (before.empty()) refuse();
  if (header.empty()) header = extended_header(file);
  header[0] = static_cast<char>(header[0] | has_exif);
  const std::string chunks = "WEBP" + riff_chunk("VP8X", header) + before +
                             riff_chunk("EXIF", turned_exif(old, orientation)) + after;
  return riff_chunk("RIFF", chunks);
}

}  // namespace

std::string with_orientation(std::span<const std::byte> image, int orientation) {
  const std::string_view file = text_of(image);
  switch (image_format(image)) {
    case ImageFormat::jpeg:
      return with_jpeg_segment(file, orientation);
    case ImageFormat::png:
      return with_png_chunk(file, orientation);
    case ImageFormat::webp:
      break;
  }
  return with_webp_chunk(file, orientation);
}

}  // namespace hardmoe
