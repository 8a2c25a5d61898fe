// Headers of foreign formats, a function each, for foreign.cpp. They throw as foreign_header()
// does.
#pragma once

#include <cstdint>
#include <span>

#include "image/foreign/foreign.h"

namespace hardmoe {

/// TIFF 6.0 and BigTIFF: the first directory. Its strips or tiles must lie within the file.
/// Cameras' raw files, which are TIFFs whose first directory holds a thumbnail, are refused.
ForeignHeader tiff_header(std::span<const std::byte> bytes);
/// Windows bitmaps; the rows of an uncompressed one must lie within the file.
ForeignHeader bmp_header(std::span<const std::byte> bytes);
/// JP2 files (ISO/IEC 15444-1, annex I) and bare codestreams (annex A).
ForeignHeader jpeg2000_header(std::span<const std::byte> bytes);
/// GIF87a and GIF89a: the canvas, and what the first picture adds to it.
ForeignHeader gif_header(std::span<const std::byte> bytes);

/// Pixels, for codec_bytes: of what no file can be right about, far too many.
constexpr int64_t area_of(uint64_t width, uint64_t height) {
  constexpr uint64_t most = uint64_t{1} << 40;
  return static_cast<int64_t>(width == 0 || height <= most / width ? width * height : most);
}

}  // namespace hardmoe
