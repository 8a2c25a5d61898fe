// The first picture of an AVIF by libavif.
#include <avif/avif.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "image/codec.h"
#include "image/foreign/codecs/codecs.h"

namespace hardmoe {
namespace {

using Decoder = std::unique_ptr<avifDecoder, decltype(&avifDecoderDestroy)>;

/// The decoder after reading the file's boxes; null with the reason.
Decoder open(EncodedBytes file, DecodeReason& reason) {
  Decoder decoder(avifDecoderCreate(), avifDecoderDestroy);
  if (decoder == nullptr) throw std::bad_alloc();
  decoder->maxThreads = 1;
  decoder->ignoreExif = AVIF_TRUE;
  decoder->ignoreXMP = AVIF_TRUE;
  decoder->imageSizeLimit = static_cast<uint32_t>(max_pixels);
  // Some writers leave out what these ask for, and the picture is good.
  decoder->strictFlags =
      AVIF_STRICT_ENABLED &
      ~static_cast<avifStrictFlags>(AVIF_STRICT_PIXI_REQUIRED | AVIF_STRICT_CLAP_VALID);
  avifResult result = avifDecoderSetIOMemory(decoder.get(), file.data, file.size);
  if (result == AVIF_RESULT_OK) result = avifDecoderParse(decoder.get());
  if (result == AVIF_RESULT_OK) return decoder;
  const char* detail = decoder->diag.error;
  fail_with(reason, *detail != '\0' ? detail : avifResultToString(result));
  return {nullptr, avifDecoderDestroy};
}

/// The file's clean aperture, or all of the picture.
avifCropRect visible(const avifImage& image) {
  avifCropRect all{0, 0, image.width, image.height}, crop;
  avifDiagnostics diagnostics;
  avifDiagnosticsClearError(&diagnostics);
  if ((image.transformFlags & AVIF_TRANSFORM_CLAP) == 0 ||
      !avifCropRectConvertCleanApertureBox(&crop, &image.clap, image.width, image.height,
                                           image.yuvFormat, &diagnostics)) {
    return all;
  }
  return crop;
}

/// Rotation anticlockwise, then mirroring (ISO/IEC 23000-22, 7.3.6.7), as EXIF numbers them.
int orientation_of(const avifImage& image) {
  const int quarter = (image.transformFlags & AVIF_TRANSFORM_IROT) != 0 ? image.irot.angle & 3 : 0;
  constexpr int turned[] = {1, 8, 3, 6};
  constexpr int top_for_bottom[] = {4, 5, 2, 7}, left_for_right[] = {2, 7, 4, 5};
  if ((image.transformFlags & AVIF_TRANSFORM_IMIR) == 0) return turned[quarter];
#if AVIF_VERSION >= 1000000
  const int axis = image.imir.axis;
#else
  const int axis = image.imir.mode;
#endif
  return axis == 0 ? top_for_bottom[quarter] : left_for_right[quarter];
}

}  // namespace

bool read_avif_header(EncodedBytes file, AvifHeader& header, DecodeReason& reason) try {
  const Decoder decoder = open(file, reason);
  if (decoder == nullptr) return false;
  const avifCropRect crop = visible(*decoder->image);
  header = {crop.width, crop.height, static_cast<int>(decoder->image->depth),
            orientation_of(*decoder->image)};
  return true;
} catch (const std::exception& error) {
  return fail_with(reason, error.what());
}

bool read_avif(EncodedBytes file, RgbTarget target, DecodeReason& reason) try {
  const Decoder decoder = open(file, reason);
  if (decoder == nullptr) return false;
  const avifResult decoded = avifDecoderNextImage(decoder.get());
  if (decoded != AVIF_RESULT_OK) return fail_with(reason, avifResultToString(decoded));
  const avifImage& image = *decoder->image;
  const avifCropRect crop = visible(image);
  if (crop.width != target.width || crop.height != target.height) {
    return fail_with(reason, "it decodes to another size than its header says");
  }
  avifRGBImage rgb;
  avifRGBImageSetDefaults(&rgb, &image);
  const bool alpha = image.alphaPlane != nullptr;
  rgb.depth = 8;
  rgb.format = alpha ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
  const size_t channels = alpha ? 4 : 3;
  std::vector<uint8_t> pixels(channels * image.width * image.height);
  rgb.pixels = pixels.data();
  rgb.rowBytes = static_cast<uint32_t>(channels * image.width);
  const avifResult converted = avifImageYUVToRGB(&image, &rgb);
  if (converted != AVIF_RESULT_OK) return fail_with(reason, avifResultToString(converted));
  uint8_t* to = target.pixels;
  for (size_t y = 0; y < crop.height; ++y) {
    const uint8_t* from = pixels.data() + channels * (image.width * (crop.y + y) + crop.x);
    for (size_t x = 0; x < crop.width; ++x, from += channels, to += 3) {
      for (size_t c = 0; c < 3; ++c) to[c] = alpha ? over_white(from[c], from[3]) : from[c];
    }
  }
  return true;
} catch (const std::exception& error) {
  return fail_with(reason, error.what());
}

}  // namespace hardmoe
