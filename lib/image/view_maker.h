// The square a network sees of an image, made from as little of the image as will do: JPEGs are
// decoded where the crop lies and no finer than it needs, and resampled straight into the batch.
// Not for looking at whole images: decode_image in augment.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "image/augment.h"
#include "image/codec.h"
#include "image/codec_jpeg.h"
#include "image/resize.h"

namespace hardmoe {

enum class Purpose { training, evaluation };

/// How much finer than `size`×`size` a region of a JPEG is decoded is decided by this alone: the
/// largest of 8, 4, 2, 1 that leaves it `size` pixels high and wide.
int decode_reduction(const Region& region, int64_t size);

/// For one thread; keeps decoder, tables and buffers from image to image.
class ViewMaker {
 public:
  /// crop_share: of center_region(), for evaluation.
  ViewMaker(int64_t size, Purpose purpose, const AugmentConfig& augment, double crop_share = 1);

  /// The image to view; `bytes` must outlive what is made of them. Throws Error with the reason.
  void open(std::span<const std::byte> bytes);
  /// size×size×3 at `out`: a function of the image and of `random`, as augment() and center_crop()
  /// say. Once after open(), and not after decode_kept(). Throws Error with the reason.
  void write(const Random& random, uint8_t* out);

  /// Bytes of what write() below makes every view of this image from, to the same bits; 0 where
  /// there is no such thing, because some views decode at reduced size.
  int64_t kept_bytes() const;
  StoredImage decode_kept();
  void write(const StoredImage& kept, const Random& random, uint8_t* out);

  /// Time spent since construction.
  double decode_seconds() const { return decode_seconds_; }
  double resize_seconds() const { return resize_seconds_; }

 private:
  DecodedPart part(const Region& upright);
  bool keeps_whole() const;
  template <class PartOf>
  void write_from(const ImageHeader& image, const PartOf& part_of, Random random, uint8_t* out);
  void resample(const DecodedPart& part, int orientation, Mirror mirror, uint8_t* out);

  int64_t size_;
  Purpose purpose_;
  AugmentConfig augment_;
  double crop_share_;
  ImageHeader image_;  ///< the one opened last
  ImageFormat format_ = ImageFormat::jpeg;
  JpegDecoder jpeg_{OnSignal::finish};  ///< a batch is trained on before its step is saved
  std::vector<uint8_t> memory_;         ///< of a JPEG's decoded part
  Tensor pixels_;                       ///< of another image, all of it
  Tensor square_;                       ///< resampled, but not yet in its place
  Resizer resizer_;
  double decode_seconds_ = 0, resize_seconds_ = 0;
};

}  // namespace hardmoe
