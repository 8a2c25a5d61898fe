#include "image/view_maker.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "image/color_jitter.h"

namespace hardmoe {
namespace {

/// Adds the seconds of its life to `total`.
class Stopwatch {
 public:
  explicit Stopwatch(double& total) : total_(total) {}
  ~Stopwatch() { total_ += now_seconds() - begin_; }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& total_;
  double begin_ = now_seconds();
};

int64_t upright_height(const ImageHeader& image) {
  return image.orientation >= 5 ? image.width : image.height;
}

int64_t upright_width(const ImageHeader& image) {
  return image.orientation >= 5 ? image.height : image.width;
}

/// A region of pixels that are all there.
DecodedPart part_of(const PixelView& image, const Region& region) {
  return {view_of(image, region),
          {0, 0, static_cast<double>(region.height), static_cast<double>(region.width)}};
}

/// Index of the pixel that `at` shows when a line of `length` is continued by its mirror image
/// about its first and last pixel (NumPy's mode "reflect"). -length < at < 2·length - 1.
int64_t reflect(int64_t at, int64_t length) {
  at = std::abs(at);
  return at < length ? at : 2 * (length - 1) - at;
}

void mirror_rows(uint8_t* pixels, int64_t size) {
  for (int64_t y = 0; y < size; ++y, pixels += 3 * size) {
    for (int64_t left = 0, right = size - 1; left < right; ++left, --right) {
      for (int64_t c = 0; c < 3; ++c) std::swap(pixels[3 * left + c], pixels[3 * right + c]);
    }
  }
}

/// The square at (top, left) of `square` padded by reflection, as large as that; both may be
/// negative.
void cut_padded(const PixelView& square, int64_t top, int64_t left, uint8_t* out) {
  const int64_t size = square.height;
  const int64_t begin = std::max<int64_t>(0, -left);         // columns of `out` that lie on
  const int64_t end = std::min<int64_t>(size, size - left);  // `square` itself
  for (int64_t y = 0; y < size; ++y, out += 3 * size) {
    const uint8_t* row = square.data + square.stride * reflect(top + y, size);
    const auto edge = [&](int64_t x) {
      std::memcpy(out + 3 * x, row + 3 * reflect(left + x, size), 3);
    };
    for (int64_t x = 0; x < begin; ++x) edge(x);
    std::memcpy(out + 3 * begin, row + 3 * (left + begin), static_cast<size_t>(3 * (end - begin)));
    for (int64_t x = end; x < size; ++x) edge(x);
  }
}

bool is_whole(double value) { return value == std::floor(value); }

/// Whether the part is size×size pixels that need no resampling.
bool is_square(const DecodedPart& part, int64_t size) {
  const Box& box = part.box;
  const auto side = static_cast<double>(size);
  return box.height == side && box.width == side && is_whole(box.top) && is_whole(box.left);
}

PixelView square_in(const DecodedPart& part, int64_t size) {
  return view_of(part.pixels, {static_cast<int64_t>(part.box.top),
                               static_cast<int64_t>(part.box.left), size, size});
}

}  // namespace

int decode_reduction(const Region& region, int64_t size) {
  for (const int reduction : {8, 4, 2}) {
    if (std::min(region.height, region.width) >= reduction * size) return reduction;
  }
  return 1;
}

ViewMaker::ViewMaker(int64_t size, Purpose purpose, const AugmentConfig& augment, double crop_share)
    : size_(size),
      purpose_(purpose),
      augment_(augment),
      crop_share_(purpose == Purpose::evaluation ? crop_share : 1),
      square_(DType::u8, {size, size, 3}) {}

void ViewMaker::open(std::span<const std::byte> bytes) {
  const Stopwatch watch(decode_seconds_);
  format_ = image_format(bytes);
  if (format_ == ImageFormat::jpeg) {
    image_ = jpeg_.open(bytes);
    return;
  }
  StoredImage stored = format_ == ImageFormat::png ? decode_png(bytes, OnSignal::finish)
                                                   : decode_webp(bytes, OnSignal::finish);
  pixels_ = std::move(stored.pixels);
  image_ = {pixels_.size(0), pixels_.size(1), stored.orientation};
}

DecodedPart ViewMaker::part(const Region& upright) {
  const Region region = stored_region(upright, image_.orientation, image_.height, image_.width);
  if (format_ == ImageFormat::jpeg) {
    const Stopwatch watch(decode_seconds_);
    return jpeg_.read(region, decode_reduction(region, size_), memory_);
  }
  return part_of(view_of(pixels_), region);
}

bool ViewMaker::keeps_whole() const {
  return purpose_ == Purpose::training && augment_.crop == Crop::random_resized;
}

int64_t ViewMaker::kept_bytes() const {
  if (crop_share_ != 1) return 0;  // a view of the view would be cut twice
  if (!keeps_whole()) return 3 * size_ * size_;
  const Region whole{0, 0, image_.height, image_.width};
  if (format_ == ImageFormat::jpeg && decode_reduction(whole, size_) > 1) return 0;
  return 3 * image_.height * image_.width;
}

StoredImage ViewMaker::decode_kept() {
  if (!keeps_whole()) {
    Tensor square(DType::u8, {size_, size_, 3});
    const Region centre = center_region(upright_height(image_), upright_width(image_));
    resample(part(centre), image_.orientation, Mirror::no, square.as<uint8_t>().data());
    return {square, 1};
  }
  if (format_ != ImageFormat::jpeg) return {pixels_, image_.orientation};
  const Stopwatch watch(decode_seconds_);
  return {jpeg_.read_whole(), image_.orientation};
}

void ViewMaker::write(const Random& random, uint8_t* out) {
  write_from(
      image_, [&](const Region& upright) { return part(upright); }, random, out);
}

void ViewMaker::write(const StoredImage& kept, const Random& random, uint8_t* out) {
  const PixelView view = view_of(kept.pixels);
  write_from(
      {view.height, view.width, kept.orientation},
      [&](const Region& upright) {
        return part_of(view, stored_region(upright, kept.orientation, view.height, view.width));
      },
      random, out);
}

template <class PartOf>
void ViewMaker::write_from(const ImageHeader& image, const PartOf& part_of, Random random,
                           uint8_t* out) {
  const int64_t height = upright_height(image);
  const int64_t width = upright_width(image);
  const auto draw_mirror = [&] {
    return augment_.flip && (random.next_u32() & 1) != 0 ? Mirror::yes : Mirror::no;
  };
  if (purpose_ == Purpose::evaluation) {
    const Region region = center_region(height, width, crop_share_);
    resample(part_of(region), image.orientation, Mirror::no, out);
    return;
  }
  switch (augment_.crop) {
    case Crop::center: {
      const Mirror mirror = draw_mirror();
      resample(part_of(center_region(height, width)), image.orientation, mirror, out);
      break;
    }
    case Crop::random_resized: {
      const Region region = random_region(height, width, augment_, random);
      const Mirror mirror = draw_mirror();
      resample(part_of(region), image.orientation, mirror, out);
      break;
    }
    case Crop::pad: {
      const DecodedPart centre = part_of(center_region(height, width));
      PixelView square = view_of(square_);
      if (image.orientation == 1 && is_square(centre, size_)) {
        square = square_in(centre, size_);
      } else {
        resample(centre, image.orientation, Mirror::no, square_.as<uint8_t>().data());
      }
      const Stopwatch watch(resize_seconds_);
      const auto places = static_cast<uint64_t>(2 * augment_.padding + 1);
      const int64_t top = static_cast<int64_t>(random.below(places)) - augment_.padding;
      const int64_t left = static_cast<int64_t>(random.below(places)) - augment_.padding;
      cut_padded(square, top, left, out);
      if (draw_mirror() == Mirror::yes) mirror_rows(out, size_);
      break;
    }
  }
  if (augment_.jitter > 0) {
    jitter_colors(augment_.jitter, random, {out, static_cast<size_t>(3 * size_ * size_)});
  }
}

void ViewMaker::resample(const DecodedPart& part, int orientation, Mirror mirror, uint8_t* out) {
  const Stopwatch watch(resize_seconds_);
  if (orientation != 1) {
    Tensor stored(DType::u8, {size_, size_, 3});
    resizer_.resize(part.pixels, part.box, size_, size_, Mirror::no, stored.as<uint8_t>().data());
    const Tensor upright = turn_upright(std::move(stored), orientation);
    std::memcpy(out, upright.data(), upright.bytes());
    if (mirror == Mirror::yes) mirror_rows(out, size_);
  } else if (mirror == Mirror::no && is_square(part, size_)) {
    const PixelView square = square_in(part, size_);
    const auto row = static_cast<size_t>(3 * size_);
    for (int64_t y = 0; y < size_; ++y) {
      std::memcpy(out + 3 * size_ * y, square.data + square.stride * y, row);
    }
  } else {
    resizer_.resize(part.pixels, part.box, size_, size_, mirror, out);
  }
}

}  // namespace hardmoe
