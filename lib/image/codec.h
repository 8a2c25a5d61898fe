// Encoded images and pixels: JPEG (libjpeg-turbo), PNG (libpng), WebP (libwebp). decode_image,
// which most callers want, is in augment.h; what files hold besides pixels, in image_metadata.h.
// The codecs' own warnings never reach stderr.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "image/resize.h"
#include "tensor/tensor.h"

namespace hardmoe {

enum class ImageFormat { jpeg, png, webp };

/// The format a file's first bytes (256 are plenty) tell, whether it is read or not: "JPEG", "PNG",
/// "WebP", "GIF", "BMP", "TIFF", "AVIF", "HEIC", "JPEG XL", "JPEG 2000", "ICO", "PSD", "SVG" …; ""
/// for what is no image known.
std::string_view known_image_format(std::span<const std::byte> head);
/// By the file's first bytes. Throws Error if it is none of the three, naming the one it is.
ImageFormat image_format(std::span<const std::byte> bytes);
/// "jpg", "png", "webp".
std::string_view extension_of(ImageFormat format);

struct ImageSize {
  int64_t width = 0, height = 0;
};
/// As stored, from the header alone. Throws Error if it is damaged or says 0.
ImageSize image_size(std::span<const std::byte> bytes);

/// Pixels as they are stored: H×W×3 RGB over white, not yet turned by `orientation` (EXIF 1…8).
struct StoredImage {
  Tensor pixels;
  int orientation = 1;
};

/// What a decode does once SIGTERM or SIGINT arrived: stops with Error(interrupted), within a
/// fraction of a second, or finishes, for a caller who still wants the image.
enum class OnSignal { stop, finish };

/// Each throws Error with the reason: corrupt, truncated, too large, or interrupted.
StoredImage decode_jpeg(std::span<const std::byte> bytes, OnSignal on_signal);
StoredImage decode_png(std::span<const std::byte> bytes, OnSignal on_signal);
StoredImage decode_webp(std::span<const std::byte> bytes, OnSignal on_signal);

/// Images of more pixels than this are refused before memory is taken for them.
inline constexpr int64_t max_pixels = 178'956'970;  // as Pillow: 0.5 GB of RGB
/// Throws Error unless 1 ≤ width·height ≤ max_pixels.
void check_pixels(int64_t width, int64_t height);
/// What decoding one image may take at once: its pixels, what the codec holds, and the pixels again
/// where they are turned upright.
inline constexpr int64_t max_decode_bytes = int64_t{1} << 30;
/// Throws Error if `bytes` are more than that. `what` needs them: "a progressive JPEG".
void check_decode_memory(int64_t bytes, std::string_view what, int64_t width, int64_t height);

/// A pixel of value `value` and opacity `alpha`, over white.
inline uint8_t over_white(int value, int alpha) {
  const int sum = value * alpha + 255 * (255 - alpha);
  return static_cast<uint8_t>((sum + 127) / 255);
}

/// The H×W×3 image turned upright from EXIF orientation 1 … 8.
Tensor turn_upright(Tensor image, int orientation);
/// Where in the stored pixels, height×width, the region of the upright image lies.
Region stored_region(const Region& upright, int orientation, int64_t height, int64_t width);

/// An H×W×3 uint8 image (PNG: or H×W×1, gray) as a file. Throws Error if the codec fails.
std::string encode_jpeg(const Tensor& image, int quality);
std::string encode_png(const Tensor& image);

}  // namespace hardmoe
