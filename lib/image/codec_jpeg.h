// Decodes regions of JPEGs, at full or reduced size, for training: only the blocks that a crop
// needs become pixels. To decode a whole image at once, use decode_jpeg in codec.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "image/codec.h"
#include "image/resize.h"

namespace hardmoe {

/// The size as stored, before the image is turned upright by `orientation` (EXIF, 1 … 8).
struct ImageHeader {
  int64_t height = 0, width = 0;
  int orientation = 1;
};

/// Decoded pixels, and the box within them that the requested region covers.
struct DecodedPart {
  PixelView pixels;
  Box box;
};

/// The most scans that a JPEG may have; usual progressive ones have 10 to 20.
inline constexpr int max_scans = 500;
/// The most pixels of all scans together, since each scan goes through the whole image: about a
/// second's work. A JPEG with more is refused.
inline constexpr int64_t max_scan_pixels = 4'000'000'000;

/// Decodes one JPEG after another, and reuses the library's state. For one thread at a time.
class JpegDecoder {
 public:
  explicit JpegDecoder(OnSignal on_signal);
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  /// Reads the header. `bytes` must stay valid until read() or read_whole() returns. Throws Error
  /// with the reason.
  ImageHeader open(std::span<const std::byte> bytes);
  /// Decodes a region of the stored image, which must hold it, at 1/reduction of its height and
  /// width. `reduction`: 1, 2, 4 or 8; each block's transform is cut to 8/reduction × 8/reduction,
  /// so that a pixel is within one level of the mean of those it replaces (0.2 to 0.6 on
  /// photographs). Puts the pixels, RGB, into `memory`, which must outlive the result; they are
  /// exactly those of the whole image decoded at that reduction. Call read() or read_whole() once
  /// after each open(). Throws Error with the reason; does not notice damage below the region.
  DecodedPart read(const Region& region, int reduction, std::vector<uint8_t>& memory);
  /// Decodes the whole image at full size: uint8 H×W×3 RGB. Throws Error for any damage.
  Tensor read_whole();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hardmoe
