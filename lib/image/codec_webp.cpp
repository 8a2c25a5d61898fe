#include <webp/decode.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/signals.h"
#include "image/codec.h"
#include "image/image_metadata.h"

namespace hardmoe {
namespace {

/// Decodes into `pixels`, a piece of the file after the other, so that signals are noticed between.
void decode(std::span<const std::byte> bytes, WEBP_CSP_MODE mode, std::span<uint8_t> pixels,
            size_t stride, OnSignal on_signal) {
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) fail("libwebp is of another version than its headers");
  config.output.colorspace = mode;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {pixels.data(), static_cast<int>(stride), pixels.size()};
  const std::unique_ptr<WebPIDecoder, decltype(&WebPIDelete)> decoder(
      WebPIDecode(nullptr, 0, &config), WebPIDelete);
  if (decoder == nullptr) throw std::bad_alloc();
  constexpr size_t piece = 1 << 16;
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  VP8StatusCode status = VP8_STATUS_SUSPENDED;
  for (size_t given = 0; status == VP8_STATUS_SUSPENDED && given < bytes.size();) {
    if (on_signal == OnSignal::stop) throw_if_interrupted();
    given = std::min(given + piece, bytes.size());
    status = WebPIUpdate(decoder.get(), data, given);
  }
  if (status != VP8_STATUS_OK) fail("damaged or truncated WebP");
}

}  // namespace

StoredImage decode_webp(std::span<const std::byte> bytes, OnSignal on_signal) {
  WebPBitstreamFeatures features;
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK) {
    fail("damaged WebP: unreadable header");
  }
  if (features.has_animation != 0) fail("animated WebP; only still images are accepted");
  const int64_t width = features.width;
  const int64_t height = features.height;
  const bool alpha = features.has_alpha != 0;
  check_pixels(width, height);
  // What libwebp keeps of a lossless picture, or of another's transparency; what is made of it.
  constexpr int lossy = 1;
  const int64_t kept = features.format != lossy ? 4 : alpha ? 1 : 0;
  check_decode_memory((kept + (alpha ? 4 : 0) + 3) * width * height,
                      alpha ? "a WebP with transparency" : "a lossless WebP", width, height);
  StoredImage image{Tensor::uninitialized(DType::u8, {height, width, 3}),
                    std::max(1, image_orientation(bytes))};
  const auto pixels = image.pixels.as<uint8_t>();
  if (!alpha) {
    decode(bytes, MODE_RGB, pixels, static_cast<size_t>(3 * width), on_signal);
    return image;
  }
  const auto count = static_cast<size_t>(width * height);
  const auto rgba = std::make_unique_for_overwrite<uint8_t[]>(4 * count);
  decode(bytes, MODE_RGBA, {rgba.get(), 4 * count}, static_cast<size_t>(4 * width), on_signal);
  for (size_t i = 0; i < count; ++i) {
    for (size_t c = 0; c < 3; ++c) pixels[3 * i + c] = over_white(rgba[4 * i + c], rgba[4 * i + 3]);
  }
  return image;
}

}  // namespace hardmoe
