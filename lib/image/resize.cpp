#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/simd.h"

namespace hardmoe {
namespace {

constexpr int64_t lanes = 16;  ///< bytes a step, widened to as many 16-bit sums
constexpr int64_t block_pixels = 5;
using Bytes = uint8_t __attribute__((vector_size(lanes)));
using Words = uint16_t __attribute__((vector_size(2 * lanes)));
constexpr uint16_t half = 128;  // weights count 256ths: 255 · 256 + 128 still fits 16 bits

// One output line of the vertical pass: the weighted sum of `taps` lines of `count` ≥ 16 bytes.
HARDMOE_VECTOR_KERNEL void blend_lines(const uint8_t* const* lines, const uint16_t* weights,
                                       int64_t taps, int64_t count, uint8_t* out) {
  for (int64_t at = 0;; at = std::min(at + lanes, count - lanes)) {
    Words sum = {};
    sum += half;
    for (int64_t k = 0; k < taps; ++k) {
      Bytes bytes;
      std::memcpy(&bytes, lines[k] + at, lanes);
      sum += __builtin_convertvector(bytes, Words) * weights[k];
    }
    const Bytes rounded = __builtin_convertvector(sum >> 8, Bytes);
    std::memcpy(out + at, &rounded, lanes);
    if (at == count - lanes) return;
  }
}

// The same for lines too short for a vector.
void blend_short_lines(const uint8_t* const* lines, const uint16_t* weights, int64_t taps,
                       int64_t count, uint8_t* out) {
  for (int64_t at = 0; at < count; ++at) {
    int sum = half;
    for (int64_t k = 0; k < taps; ++k) sum += lines[k][at] * weights[k];
    out[at] = static_cast<uint8_t>(sum >> 8);
  }
}

// One output line of the horizontal pass. Each block writes 16 bytes, of which the next block's
// beginning and, at the end, up to 13 bytes beyond the line are wrong until they are overwritten.
HARDMOE_VECTOR_KERNEL void gather_blocks(const uint8_t* line, const int64_t* offsets,
                                         int64_t blocks, const uint8_t* places,
                                         const uint16_t* weights, int64_t taps, uint8_t* out) {
  for (int64_t b = 0; b < blocks; ++b) {
    const uint8_t* source = line + offsets[2 * b];
    Bytes order;
    std::memcpy(&order, places + lanes * b, lanes);
    Words sum = {};
    sum += half;
    for (int64_t k = 0; k < taps; ++k, source += 3, weights += lanes) {
      Bytes bytes;
      Words factors;
      std::memcpy(&bytes, source, lanes);
      std::memcpy(&factors, weights, 2 * lanes);
#ifdef __clang__  // has no shuffle by an order that is known only now
      Bytes shuffled;
      for (int lane = 0; lane < lanes; ++lane) shuffled[lane] = bytes[order[lane] % lanes];
#else
      const Bytes shuffled = __builtin_shuffle(bytes, order);
#endif
      sum += __builtin_convertvector(shuffled, Words) * factors;
    }
    const Bytes rounded = __builtin_convertvector(sum >> 8, Bytes);
    std::memcpy(out + offsets[2 * b + 1], &rounded, lanes);
  }
}

}  // namespace

PixelView view_of(const Tensor& image) {
  return {image.as<uint8_t>().data(), image.size(0), image.size(1), 3 * image.size(1)};
}

PixelView view_of(const PixelView& view, const Region& region) {
  return {view.data + region.top * view.stride + 3 * region.left, region.height, region.width,
          view.stride};
}

// Pillow's rule (Resample.c, precompute_coeffs): a triangle one pixel wide to either side, or one
// output pixel where that is wider, cut at the ends and normalised.
void set_axis_weights(double begin, double length, int64_t available, int64_t outputs,
                      AxisWeights& axis) {
  const double scale = length / static_cast<double>(outputs);
  const double reach = std::max(scale, 1.0);
  const double slope = 1 / reach;
  const auto low = static_cast<int64_t>(begin);
  const auto high = std::min(static_cast<int64_t>(std::ceil(begin + length)), available);
  const auto most = std::min(static_cast<int64_t>(std::ceil(reach)) * 2 + 1, high - low);
  axis.taps = 0;
  axis.first.resize(static_cast<size_t>(outputs));
  axis.count.resize(static_cast<size_t>(outputs));
  axis.weights.assign(static_cast<size_t>(outputs * most), 0);
  for (int64_t i = 0; i < outputs; ++i) {
    const double centre = begin + (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::clamp(static_cast<int64_t>(centre - reach + 0.5), low, high - 1);
    const int64_t end = std::clamp(static_cast<int64_t>(centre + reach + 0.5), first + 1, high);
    const auto share = [&](int64_t k) {
      const double distance = std::abs(static_cast<double>(k) + 0.5 - centre);
      return std::max(1 - distance * slope, 1e-9);  // never nothing at all
    };
    double sum = 0;
    for (int64_t k = first; k < end; ++k) sum += share(k);
    // Rounding the running sum, not each share, makes the weights sum to 256 and spreads the error.
    uint16_t* weights = axis.weights.data() + i * most;
    const double unit = 256 / sum;
    double running = 0.5;
    int64_t given = 0;
    int64_t count = 0;
    for (int64_t k = first; k < end; ++k) {
      running += unit * share(k);
      const auto next = static_cast<int64_t>(running);
      weights[k - first] = static_cast<uint16_t>(next - given);
      if (next != given) count = k - first + 1;
      given = next;
    }
    axis.first[static_cast<size_t>(i)] = first;
    axis.count[static_cast<size_t>(i)] = count;
    axis.taps = std::max(axis.taps, count);
  }
  for (int64_t i = 1; i < outputs; ++i) {  // close up: rows of `taps`, not of `most`
    std::copy_n(axis.weights.begin() + i * most, axis.taps, axis.weights.begin() + i * axis.taps);
  }
}

void Resizer::make_blocks(int64_t width, Mirror mirror) {
  blocks_.clear();
  places_.clear();
  weights_.clear();
  const auto shown = [&](int64_t x) { return mirror == Mirror::yes ? width - 1 - x : x; };
  const auto first = [&](int64_t x) { return columns_.first[static_cast<size_t>(shown(x))]; };
  for (int64_t x = 0; x < width;) {
    int64_t low = first(x);
    int64_t high = low;
    int64_t end = x + 1;
    for (; end < std::min(x + block_pixels, width); ++end) {
      const int64_t next = first(end);
      if (std::max(high, next) - std::min(low, next) >= block_pixels) break;
      low = std::min(low, next);
      high = std::max(high, next);
    }
    const size_t place = places_.size();
    const size_t weight = weights_.size();
    places_.resize(place + lanes);
    weights_.resize(weight + static_cast<size_t>(lanes * columns_.taps));
    for (int64_t pixel = x; pixel < end; ++pixel) {
      for (int64_t c = 0; c < 3; ++c) {
        const auto lane = static_cast<size_t>(3 * (pixel - x) + c);
        places_[place + lane] = static_cast<uint8_t>(3 * (first(pixel) - low) + c);
        for (int64_t k = 0; k < columns_.taps; ++k) {
          weights_[weight + static_cast<size_t>(k * lanes) + lane] =
              columns_.weights[static_cast<size_t>(shown(pixel) * columns_.taps + k)];
        }
      }
    }
    blocks_.push_back({3 * low, 3 * x});
    x = end;
  }
}

void Resizer::resize(const PixelView& view, const Box& box, int64_t height, int64_t width,
                     Mirror mirror, uint8_t* out) {
  // Only columns that count go through the vertical pass, which comes first: it is the cheaper one,
  // and the horizontal one then has `height` lines however tall the box is.
  const auto left = static_cast<int64_t>(std::floor(box.left));
  const int64_t right = std::min(static_cast<int64_t>(std::ceil(box.left + box.width)), view.width);
  set_axis_weights(box.top, box.height, view.height, height, rows_);
  set_axis_weights(box.left - static_cast<double>(left), box.width, right - left, width, columns_);
  make_blocks(width, mirror);
  const int64_t count = 3 * (right - left);
  line_.resize(static_cast<size_t>(count + 3 * columns_.taps + lanes));
  end_.resize(static_cast<size_t>(3 * width + lanes));
  sources_.resize(static_cast<size_t>(rows_.taps));
  static_assert(sizeof(Block) == 2 * sizeof(int64_t));
  const auto* offsets = reinterpret_cast<const int64_t*>(blocks_.data());
  for (int64_t y = 0; y < height; ++y) {
    const int64_t taps = rows_.count[static_cast<size_t>(y)];
    const uint16_t* weights = rows_.weights.data() + y * rows_.taps;
    for (int64_t k = 0; k < taps; ++k) {
      sources_[static_cast<size_t>(k)] =
          view.data + (rows_.first[static_cast<size_t>(y)] + k) * view.stride + 3 * left;
    }
    (count < lanes ? blend_short_lines : blend_lines)(sources_.data(), weights, taps, count,
                                                      line_.data());
    // What is written beyond the line is still to be overwritten, but not beyond the last one:
    // there is another image, perhaps another thread's.
    const bool room = 3 * width * (y + 1) + lanes <= 3 * width * height;
    uint8_t* target = out + 3 * width * y;
    gather_blocks(line_.data(), offsets, static_cast<int64_t>(blocks_.size()), places_.data(),
                  weights_.data(), columns_.taps, room ? target : end_.data());
    if (!room) std::memcpy(target, end_.data(), static_cast<size_t>(3 * width));
  }
}

Tensor shrink_short_side(const Tensor& image, int64_t size) {
  const int64_t height = image.size(0);
  const int64_t width = image.size(1);
  const int64_t side = std::min(height, width);
  if (side <= size) return image;
  const auto scaled = [&](int64_t length) {
    return std::llround(static_cast<double>(length) * static_cast<double>(size) /
                        static_cast<double>(side));
  };
  Tensor small(DType::u8, {scaled(height), scaled(width), 3});
  Resizer().resize(view_of(image), {0, 0, static_cast<double>(height), static_cast<double>(width)},
                   small.size(0), small.size(1), Mirror::no, small.as<uint8_t>().data());
  return small;
}

}  // namespace hardmoe
