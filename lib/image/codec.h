// Decodes and encodes images: JPEG (libjpeg-turbo), PNG (libpng), WebP (libwebp, decoding only).
// Most callers want decode_image in augment.h. Metadata are read in image_metadata.h. The codecs'
// own warnings are not printed.
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

/// Returns the name of an image file's format by its first bytes (256 are enough), also of formats
/// that decode_image does not read: "JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF", "HEIC",
/// "JPEG XL", "JPEG 2000", "ICO", "PSD", "SVG" …; "" if it is no known image.
std::string_view known_image_format(std::span<const std::byte> head);
/// Returns the format by the file's first bytes. Throws Error if it is none of the three, naming
/// the format if it is known.
ImageFormat image_format(std::span<const std::byte> bytes);
/// Returns "jpg", "png" or "webp".
std::string_view extension_of(ImageFormat format);

struct ImageSize {
  int64_t width = 0, height = 0;
};
/// Returns the size of the stored image, before it is turned upright, from the header alone. Throws
/// Error if the header is damaged or a side is 0.
ImageSize image_size(std::span<const std::byte> bytes);

/// Pixels as stored: uint8 H×W×3 RGB, blended with white, not yet turned upright by `orientation`
/// (EXIF, 1 … 8).
struct StoredImage {
  Tensor pixels;
  int orientation = 1;
};

/// What a decoder does after SIGTERM or SIGINT.
enum class OnSignal {
  stop,    ///< throws Error(interrupted) within a fraction of a second
  finish,  ///< decodes the image, which the caller still needs
};

/// Each throws Error with the reason: corrupt, truncated, too large, or interrupted.
StoredImage decode_jpeg(std::span<const std::byte> bytes, OnSignal on_signal);
StoredImage decode_png(std::span<const std::byte> bytes, OnSignal on_signal);
StoredImage decode_webp(std::span<const std::byte> bytes, OnSignal on_signal);

/// Images of more pixels than this are refused before memory is taken for them.
inline constexpr int64_t max_pixels = 178'956'970;  // as Pillow: 0.5 GB of RGB
/// Throws Error unless 1 ≤ width·height ≤ max_pixels.
void check_pixels(int64_t width, int64_t height);
/// The most memory that decoding one image may take at once: its pixels, the codec's memory, and a
/// second copy of the pixels if they are turned upright.
inline constexpr int64_t max_decode_bytes = int64_t{1} << 30;
/// Throws Error if `bytes` exceeds max_decode_bytes. `what` is the image in the message: "a
/// progressive JPEG".
void check_decode_memory(int64_t bytes, std::string_view what, int64_t width, int64_t height);

/// Returns a sample `value` of opacity `alpha` (0 … 255) blended with white.
inline uint8_t over_white(int value, int alpha) {
  const int sum = value * alpha + 255 * (255 - alpha);
  return static_cast<uint8_t>((sum + 127) / 255);
}

/// Returns the H×W×3 image turned upright from EXIF orientation 1 … 8; unchanged for other numbers.
Tensor turn_upright(Tensor image, int orientation);
/// Returns the region of the stored image (height×width) that becomes region `upright` of the image
/// when it is turned upright.
Region stored_region(const Region& upright, int orientation, int64_t height, int64_t width);

/// Returns an H×W×3 uint8 image as a JPEG file of quality 1 … 100. Throws Error if the codec fails.
std::string encode_jpeg(const Tensor& image, int quality);
/// Returns an H×W×3 (RGB) or H×W×1 (gray) uint8 image as a PNG file. Throws as encode_jpeg() does.
std::string encode_png(const Tensor& image);

}  // namespace hardmoe
