// JPEG in parts and at reduced size, for training: only the blocks a crop needs are made into
// pixels. For a whole picture at once there is decode_jpeg in codec.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "image/codec.h"
#include "image/resize.h"

namespace hardmoe {

/// As stored: not yet turned upright by `orientation` (EXIF 1 … 8).
struct ImageHeader {
  int64_t height = 0, width = 0;
  int orientation = 1;
};

/// A part of a picture, and where in it the region lies that was asked for.
struct DecodedPart {
  PixelView pixels;
  Box box;
};

/// Scans that a JPEG may have (usual progressive ones have 10 to 20), and pixels in all of them
/// together, in each of which the whole picture is gone through: a second's work. What has more is
/// refused.
inline constexpr int max_scans = 500;
inline constexpr int64_t max_scan_pixels = 4'000'000'000;

/// Decodes one picture after the other, keeping the library's state. For one thread.
class JpegDecoder {
 public:
  explicit JpegDecoder(OnSignal on_signal);
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  /// Reads the header; `bytes` must outlive read(). Throws Error with the reason.
  ImageHeader open(std::span<const std::byte> bytes);
  /// The region, which must lie within the picture, at 1/reduction of its height and width (1, 2, 4
  /// or 8: the transform of each block is cut to 8/reduction × 8/reduction, which comes within a
  /// level of the mean of the pixels replaced; 0.2 to 0.6 on photographs). The pixels, RGB, are put
  /// into `memory` and are exactly those of the whole picture decoded at that reduction. Once after
  /// each open(). Throws Error with the reason; damage below the region goes unnoticed.
  DecodedPart read(const Region& region, int reduction, std::vector<uint8_t>& memory);
  /// All of it. Throws Error for any damage.
  Tensor read_whole();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hardmoe
