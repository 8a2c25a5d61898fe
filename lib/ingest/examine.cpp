#include "ingest/examine.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/error.h"
#include "base/signals.h"
#include "image/augment.h"
#include "image/foreign/foreign.h"
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

/// Returns the orientation (2 … 8) that only the item's metadata records of an image of this size;
/// 0 if there is none, or if the image was turned since.
int orientation_by_metadata(const SourceItem& item, const ImageSize& size) {
  if (item.orientation < 2 || item.orientation > 8) return 0;
  const bool sideways = item.orientation >= 5;
  const bool swapped = size.width == item.stored_height && size.height == item.stored_width;
  return sideways && swapped && size.width != size.height ? 0 : item.orientation;
}

/// Replaces an image whose orientation only its metadata records by a copy with that orientation in
/// its EXIF; unless the image has an orientation of its own.
void keep_orientation(Examined& out) {
  SourceItem& item = out.item;
  if (item.orientation < 2 || item.orientation > 8) return;
  const auto bytes = std::as_bytes(std::span(out.original()));
  if (image_orientation(bytes) != 0) return;
  const int orientation = orientation_by_metadata(item, image_size(bytes));
  if (orientation == 0) return;
  item.made = with_orientation(bytes, orientation);
  item.offset = -1;  // its bytes are no longer the tar's
}

/// Refuses an image if the options exclude its size. Returns whether it may be decoded.
bool accept_size(Examined& out, const ImageSize& size, const IngestOptions& options) {
  if (size.width > options.max_pixels / size.height) {
    refuse(out, Rejection::too_large, size);
    return false;
  }
  const int64_t short_side = std::min(size.width, size.height);
  const int64_t long_side = std::max(size.width, size.height);
  if (short_side < options.min_size) {
    refuse(out, Rejection::too_small, size);
    return false;
  }
  if (options.max_aspect > 0 &&
      static_cast<double>(long_side) > options.max_aspect * static_cast<double>(short_side)) {
    refuse(out, Rejection::too_elongated, size);
    return false;
  }
  return true;
}

/// Returns the image upright, or nothing if it was refused.
std::optional<Tensor> decode_own(Examined& out, const IngestOptions& options) {
  out.format = image_format(std::as_bytes(std::span(out.original())));
  keep_orientation(out);
  const auto encoded = std::as_bytes(std::span(out.original()));
  if (!accept_size(out, image_size(encoded), options)) return {};
  return decode_image(encoded);
}

/// Returns an image of a foreign format, one that training does not read, upright, or nothing if it
/// was refused. It is to be rewritten as PNG.
std::optional<Tensor> decode_foreign_image(Examined& out, const IngestOptions& options) {
  const auto encoded = std::as_bytes(std::span(out.original()));
  const ForeignHeader header = foreign_header(encoded);
  if (!accept_size(out, header.size, options)) return {};
  const int orientation =
      header.orientation != 0 ? header.orientation : orientation_by_metadata(out.item, header.size);
  Tensor image = turn_upright(decode_foreign(encoded, header), orientation);
  throw_if_interrupted();
  out.format = ImageFormat::png;
  return image;
}

/// Refuses an image whose format cannot be read. Returns whether it may be decoded; sets
/// `is_foreign` if training cannot read its format.
bool accept_format(Examined& out, bool& is_foreign) {
  const auto bytes = std::as_bytes(std::span(out.original()));
  const std::string_view known = known_image_format(bytes);
  is_foreign = foreign_format(bytes).has_value();
  std::string why;
  if (is_foreign && can_read_foreign(why)) return true;
  if (known.empty() || known == "JPEG" || known == "PNG" || known == "WebP") return true;
  out.item.rejection = Rejection::other_format;
  out.item.detail = is_foreign ? fmt::format(
                                     "{}, which this installation cannot read ({}); convert "
                                     "it to PNG or JPEG",
                                     known, why)
                               : fmt::format("{}; convert it to PNG or JPEG", known);
  return false;
}

void check_image(Examined& out, const IngestOptions& options) {
  const size_t size = out.original().size();
  if (size > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    fail("{} bytes; at most 2 GiB are accepted", size);
  }
  bool is_foreign = false;
  if (!accept_format(out, is_foreign)) return;
  const auto image = is_foreign ? decode_foreign_image(out, options) : decode_own(out, options);
  if (!image) return;
  out.content = content_hash(out.original());
  if (options.near_duplicates >= 0) out.perceptual_hash = perceptual_hash(*image);
  const bool shrink =
      options.resize != 0 && std::min(image->size(0), image->size(1)) > options.resize;
  if (!shrink && !is_foreign) return;
  const Tensor small = shrink ? shrink_short_side(*image, options.resize) : *image;
  const bool png = out.format == ImageFormat::png;
  out.format = png ? ImageFormat::png : ImageFormat::jpeg;
  out.rewritten = png ? encode_png(small) : encode_jpeg(small, jpeg_quality);
}

}  // namespace

std::string_view Examined::original() const {
  if (!item.made.empty()) return item.made;
  return text_of(item.path.empty() ? item.bytes : file.bytes());
}

Examined examine(const Source& source, SplitNumber from, int64_t number,
                 const IngestOptions& options, const TagRules& rules) {
  Examined out;
  try {
    out.item = source.item(number);
    SourceItem& item = out.item;
    if (is_left_out(options, from, item.key)) {
      item.rejection = Rejection::not_sampled;
      return out;
    }
    if (item.rejection != Rejection::none) return out;
    out.tags = clean_tags(item.tags, rules);
    if (item.truth) out.truth = clean_tags(*item.truth, rules);
    if (out.tags.empty() && out.truth.empty() && !options.keep_untagged) {
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
