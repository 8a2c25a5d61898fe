#include "ingest/examine.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/error.h"
#include "image/augment.h"
#include "image/image_metadata.h"
#include "image/resize.h"
#include "ingest/near_duplicates.h"

namespace hardmoe {
namespace {

constexpr int jpeg_quality = 95;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

uint64_t content_hash(std::string_view bytes) {
  const std::string hex = sha256_hex(bytes);
  uint64_t hash = 0;
  std::from_chars(hex.data(), hex.data() + 16, hash, 16);
  return hash;
}

void refuse(Examined& out, Rejection reason, const ImageSize& size) {
  out.item.rejection = reason;
  out.item.detail = fmt::format("{}×{} pixels", size.width, size.height);
}

/// Replaces an image whose orientation only its metadata records by a copy with that orientation in
/// its EXIF; unless the image has an orientation of its own, or was turned since.
void keep_orientation(Examined& out) {
  SourceItem& item = out.item;
  if (item.orientation < 2 || item.orientation > 8) return;
  const auto bytes = std::as_bytes(std::span(out.original()));
  if (image_orientation(bytes) != 0) return;
  const ImageSize size = image_size(bytes);
  const bool sideways = item.orientation >= 5;
  const bool swapped = size.width == item.stored_height && size.height == item.stored_width;
  if (sideways && swapped && size.width != size.height) return;
  item.made = with_orientation(bytes, item.orientation);
  item.offset = -1;  // its bytes are no longer the tar's
}

void check_image(Examined& out, const IngestOptions& options) {
  std::string_view bytes = out.original();
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    fail("{} bytes; at most 2 GiB are accepted", bytes.size());
  }
  const std::string_view known = known_image_format(std::as_bytes(std::span(bytes)));
  if (!known.empty() && known != "JPEG" && known != "PNG" && known != "WebP") {
    out.item.rejection = Rejection::other_format;
    out.item.detail = fmt::format("{}; convert it to PNG or JPEG", known);
    return;
  }
  out.format = image_format(std::as_bytes(std::span(bytes)));
  keep_orientation(out);
  bytes = out.original();
  const auto encoded = std::as_bytes(std::span(bytes));
  const ImageSize size = image_size(encoded);
  if (size.width > options.max_pixels / size.height) {
    refuse(out, Rejection::too_large, size);
    return;
  }
  const int64_t short_side = std::min(size.width, size.height);
  const int64_t long_side = std::max(size.width, size.height);
  if (short_side < options.min_size) {
    refuse(out, Rejection::too_small, size);
    return;
  }
  if (options.max_aspect > 0 &&
      static_cast<double>(long_side) > options.max_aspect * static_cast<double>(short_side)) {
    refuse(out, Rejection::too_long, size);
    return;
  }
  const Tensor image = decode_image(encoded);
  out.content = content_hash(bytes);
  if (options.near_duplicates >= 0) out.look = perceptual_hash(image);
  if (options.resize == 0 || std::min(image.size(0), image.size(1)) <= options.resize) return;
  const Tensor small = shrink_short_side(image, options.resize);
  const bool png = out.format == ImageFormat::png;
  out.format = png ? ImageFormat::png : ImageFormat::jpeg;
  out.resized = png ? encode_png(small) : encode_jpeg(small, jpeg_quality);
}

}  // namespace

std::string_view Examined::original() const {
  if (!item.made.empty()) return item.made;
  return text_of(item.path.empty() ? item.bytes : file.bytes());
}

Examined examine(const Source& source, int64_t number, const IngestOptions& options,
                 const TagRules& rules) {
  Examined out;
  try {
    out.item = source.item(number);
    SourceItem& item = out.item;
    if (item.rejection != Rejection::none) return out;
    out.tags = clean_tags(item.tags, rules);
    if (item.truth) out.truth = clean_tags(*item.truth, rules);
    if (out.tags.empty() && out.truth.empty()) {
      item.rejection = Rejection::no_tags;
      if (item.detail.empty() && !item.tags.empty()) item.detail = "all are stopped or blank";
      return out;
    }
    if (!item.path.empty()) out.file = MappedFile(item.path);
    check_image(out, options);
  } catch (const std::exception& error) {
    out.item.rejection = Rejection::unreadable_image;
    out.item.detail = error.what();
  }
  return out;
}

}  // namespace hardmoe
