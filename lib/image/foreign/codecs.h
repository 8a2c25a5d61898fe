// What the module of foreign codecs (codecs/, a shared library that moe-ingest loads when it first
// needs it) offers to the program: plain data and pointers to functions, so that the two share no
// code. decode_foreign in foreign.h is what callers want.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hardmoe {

/// Changes with anything below; the program refuses a module of another number.
inline constexpr int foreign_interface = 1;

struct EncodedBytes {
  const uint8_t* data;
  size_t size;
};

/// Where decoded pixels go: height×width×3 RGB, over white. What decodes to another size fails.
struct RgbTarget {
  int64_t width, height;
  uint8_t* pixels;
};

/// Why a function returned false: a clause, ending in a NUL.
struct DecodeReason {
  char text[200];
};

struct AvifHeader {
  int64_t width, height;  ///< of the first picture, as stored
  int depth;              ///< bits a channel
  int orientation;        ///< EXIF 1 … 8, from the file's rotation and mirroring
};

/// The module's one symbol, `hardmoe_foreign_codecs`. Functions return false with the reason, throw
/// nothing, write nothing to stderr and may be called from several threads.
struct ForeignCodecs {
  int interface;
  /// TIFF by libtiff: the first page, as it is stored (orientation is not applied).
  bool (*read_tiff)(EncodedBytes file, RgbTarget target, DecodeReason& reason);
  /// BMP and JPEG 2000 by OpenCV. `bits`: of a sample; `alpha`: whether a fourth one is opacity.
  bool (*read_opencv)(EncodedBytes file, int bits, bool alpha, RgbTarget target,
                      DecodeReason& reason);
  /// GIF by giflib: the first picture, at its place on a canvas of the target's size.
  bool (*read_gif)(EncodedBytes file, RgbTarget target, DecodeReason& reason);
  /// AVIF by libavif: what its boxes say, without decoding.
  bool (*read_avif_header)(EncodedBytes file, AvifHeader& header, DecodeReason& reason);
  bool (*read_avif)(EncodedBytes file, RgbTarget target, DecodeReason& reason);
};

}  // namespace hardmoe
