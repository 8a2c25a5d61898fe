#include "image/foreign/foreign.h"

#include "base/error.h"
#include "image/foreign/headers.h"
#include "image/foreign/module.h"

namespace hardmoe {
namespace {

EncodedBytes encoded(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

const ForeignCodecs& require_codecs() {
  std::string why;
  const ForeignCodecs* codecs = foreign_codecs(why);
  if (codecs == nullptr) fail("the codecs for this format are not installed: {}", why);
  return *codecs;
}

ForeignHeader avif_header(std::span<const std::byte> bytes) {
  AvifHeader found = {};
  DecodeReason reason = {};
  if (!require_codecs().read_avif_header(encoded(bytes), found, reason)) {
    fail("an AVIF that cannot be decoded: {}", reason.text);
  }
  ForeignHeader header;
  header.size = {found.width, found.height};
  header.orientation = found.orientation;
  header.bits = found.depth;
  // Planes of the picture and of a reference to it, then RGBA.
  const int64_t planes = 4 * (found.depth > 8 ? 2 : 1);
  header.codec_bytes = (2 * planes + 4) * area_of(static_cast<uint64_t>(found.width),
                                                  static_cast<uint64_t>(found.height));
  return header;
}

std::string_view name_of(ForeignFormat format) {
  switch (format) {
    case ForeignFormat::tiff:
      return "TIFF";
    case ForeignFormat::bmp:
      return "BMP";
    case ForeignFormat::jpeg2000:
      return "JPEG 2000";
    case ForeignFormat::gif:
      return "GIF";
    case ForeignFormat::avif:
      break;
  }
  return "AVIF";
}

ForeignFormat require_format(std::span<const std::byte> bytes) {
  const auto format = foreign_format(bytes);
  if (!format) fail("not a TIFF, BMP, JPEG 2000, GIF or AVIF image ({} bytes)", bytes.size());
  return *format;
}

}  // namespace

std::optional<ForeignFormat> foreign_format(std::span<const std::byte> bytes) {
  const std::string_view known = known_image_format(bytes);
  for (const ForeignFormat format :
       {ForeignFormat::tiff, ForeignFormat::bmp, ForeignFormat::jpeg2000, ForeignFormat::gif,
        ForeignFormat::avif}) {
    if (known == name_of(format)) return format;
  }
  return {};
}

bool can_read_foreign(std::string& why) { return foreign_codecs(why) != nullptr; }

ForeignHeader foreign_header(std::span<const std::byte> bytes) {
  ForeignHeader header;
  const ForeignFormat format = require_format(bytes);
  switch (format) {
    case ForeignFormat::tiff:
      header = tiff_header(bytes);
      break;
    case ForeignFormat::bmp:
      header = bmp_header(bytes);
      break;
    case ForeignFormat::jpeg2000:
      header = jpeg2000_header(bytes);
      break;
    case ForeignFormat::gif:
      header = gif_header(bytes);
      break;
    case ForeignFormat::avif:
      header = avif_header(bytes);
      break;
  }
  if (header.size.width < 1 || header.size.height < 1) {
    fail("damaged {}: its header says {}×{} pixels", name_of(format), header.size.width,
         header.size.height);
  }
  return header;
}

Tensor decode_foreign(std::span<const std::byte> bytes, const ForeignHeader& header) {
  const ForeignFormat format = require_format(bytes);
  const auto [width, height] = header.size;
  check_pixels(width, height);
  check_decode_memory(3 * width * height + header.codec_bytes, name_of(format), width, height);
  const ForeignCodecs& codecs = require_codecs();
  Tensor pixels = Tensor::uninitialized(DType::u8, {height, width, 3});
  const RgbTarget target{width, height, pixels.as<uint8_t>().data()};
  DecodeReason reason = {};
  bool read = false;
  switch (format) {
    case ForeignFormat::tiff:
      read = codecs.read_tiff(encoded(bytes), target, reason);
      break;
    case ForeignFormat::bmp:
    case ForeignFormat::jpeg2000:
      read = codecs.read_opencv(encoded(bytes), header.bits, header.alpha, target, reason);
      break;
    case ForeignFormat::gif:
      read = codecs.read_gif(encoded(bytes), target, reason);
      break;
    case ForeignFormat::avif:
      read = codecs.read_avif(encoded(bytes), target, reason);
      break;
  }
  if (!read) {
    fail("{} {} that cannot be decoded: {}", format == ForeignFormat::avif ? "an" : "a",
         name_of(format), reason.text);
  }
  return pixels;
}

}  // namespace hardmoe
