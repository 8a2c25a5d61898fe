// Makes views, the squares that a network sees, from image files. Of a JPEG only the region of the
// crop is decoded, at the lowest size that suffices, and resized directly into the batch. Not for
// whole images: use decode_image in augment.h.
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

/// Returns the reduction at which a region of a JPEG is decoded for a view of size×size: the
/// largest of 8, 4, 2, 1 that leaves it at least `size` pixels high and wide; 1 if it is smaller.
int decode_reduction(const Region& region, int64_t size);

/// Makes one view after another, and reuses its decoder and buffers. For one thread at a time.
/// Finishes an image even after SIGTERM.
class ViewMaker {
 public:
  /// `size`: height and width of a view in pixels. `augment` is used in training only, `crop_share`
  /// (see center_region()) in evaluation only.
  ViewMaker(int64_t size, Purpose purpose, const AugmentConfig& augment, double crop_share = 1);

  /// Begins with an image file. `bytes` must stay valid until write() or decode_kept() returns.
  /// Throws Error with the reason.
  void open(std::span<const std::byte> bytes);
  /// Writes the view, size×size×3, to `out`: in training as augment() does with `random`, in
  /// evaluation as center_crop() does, but with crop_share. Call it or decode_kept() once after
  /// open(). Throws Error with the reason.
  void write(const Random& random, uint8_t* out);

  /// Returns the bytes of decode_kept()'s result; 0 if the image cannot be kept, because some views
  /// decode it at reduced size or crop_share is not 1.
  int64_t kept_bytes() const;
  /// Decodes what all views of this image can be made from, for a cache: the whole image with crop:
  /// random_resized, else the resized centred square. Only if kept_bytes() > 0.
  StoredImage decode_kept();
  /// Writes the view from decode_kept()'s result: the same bytes as from the file.
  void write(const StoredImage& kept, const Random& random, uint8_t* out);

  /// Returns the seconds spent decoding since construction.
  double decode_seconds() const { return decode_seconds_; }
  /// Returns the seconds spent resizing since construction.
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
