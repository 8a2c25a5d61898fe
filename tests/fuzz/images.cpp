// Images and what they hold besides pixels.
#include <algorithm>

#include "fuzz/targets.h"
#include "image/augment.h"
#include "image/codec.h"
#include "image/exif.h"
#include "image/foreign/foreign.h"
#include "image/image_metadata.h"
#include "image/keywords.h"
#include "image/xmp.h"
#include "image/xmp_merge.h"

namespace hardmoe {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

void fuzz_xmp(std::string_view bytes) {
  require(xmp_keywords(bytes).keywords.size() <= max_keywords, "more keywords than the limit");
}

void fuzz_xmp_merge(std::string_view bytes) {
  const std::vector<std::string> added = {"a", "<b> & \"c\"", "été"};
  const auto found = xmp_keywords(with_subjects(bytes, added)).keywords;
  for (const std::string& keyword : added) {
    require(std::ranges::count(found, keyword) == 1 || found.size() == max_keywords,
            "an added keyword is not there");
  }
}

void fuzz_exif(std::string_view bytes) {
  exif_keywords(bytes_of(bytes));
  const std::string turned = exif_with_orientation(bytes_of(bytes), 6);
  require(exif_orientation(bytes_of(turned)) == 6, "the orientation is not as it was set");
}

void fuzz_metadata(std::string_view bytes) {
  const int orientation = image_orientation(bytes_of(bytes));
  require(orientation >= 0 && orientation <= 8, "an orientation there is not");
  const std::string turned = with_orientation(bytes_of(bytes), 6);
  require(image_orientation(bytes_of(turned)) == 6, "the orientation is not as it was set");
  embedded_keywords(bytes_of(bytes));
}

void fuzz_decode(std::string_view bytes) {
  known_image_format(bytes_of(bytes));
  const ImageSize size = image_size(bytes_of(bytes));
  check_pixels(size.width, size.height);
  if (size.width * size.height > (int64_t{1} << 18)) return;  // right, but slow
  const Tensor image = decode_image(bytes_of(bytes));
  require(image.shape().size() == 3 && image.shape()[2] == 3, "no H×W×3 image");
  require(image.shape()[0] * image.shape()[1] == size.width * size.height,
          "as many pixels as the header says");
}

void fuzz_foreign_header(std::string_view bytes) {
  if (foreign_format(bytes_of(bytes)) == ForeignFormat::avif) return;  // libavif reads it
  const ForeignHeader header = foreign_header(bytes_of(bytes));
  require(header.orientation >= 0 && header.orientation <= 8, "an orientation there is not");
  require(header.codec_bytes >= 0, "decoding it takes less than nothing");
}

}  // namespace hardmoe
