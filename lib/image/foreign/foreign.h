// Images of formats that training does not read: TIFF, BMP, JPEG 2000, GIF and AVIF. moe-ingest
// reads them and writes them anew as PNG; nothing else should. Their codecs (libtiff, OpenCV,
// giflib, libavif) are in a module beside the programs that is loaded when the first such image
// comes, so that no program depends on them. JPEG, PNG and WebP are codec.h's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "image/codec.h"
#include "tensor/tensor.h"

namespace hardmoe {

enum class ForeignFormat { tiff, bmp, jpeg2000, gif, avif };

/// By the file's first bytes; nothing for other formats.
std::optional<ForeignFormat> foreign_format(std::span<const std::byte> bytes);

/// Whether the module is there and can be loaded; `why` then says why not.
bool can_read_foreign(std::string& why);

/// What a file says of itself before anything is decoded.
struct ForeignHeader {
  ImageSize size;           ///< as stored; of a GIF the canvas's
  int orientation = 0;      ///< EXIF 1 … 8, in which it is meant to be seen; 0: it says none
  int bits = 8;             ///< of a sample
  bool alpha = false;       ///< BMP, JPEG 2000: there is a fourth sample, which is opacity
  int64_t codec_bytes = 0;  ///< what decoding takes beside the RGB, about
};

/// Throws Error for files that are damaged, that end before their picture does, or of a kind that
/// is not read: each with the reason. AVIF's header is read by the module, which must be there.
ForeignHeader foreign_header(std::span<const std::byte> bytes);

/// The first picture as uint8 H×W×3 RGB, over white, not turned by its orientation; `header`: the
/// file's. Throws Error with the reason: too large (before memory is taken for it), damaged, no
/// module. A signal does not stop it.
Tensor decode_foreign(std::span<const std::byte> bytes, const ForeignHeader& header);

}  // namespace hardmoe
