// Resampling of 8-bit RGB in vectorised integer arithmetic: bilinear, with the filter widened where
// the picture shrinks (antialiased), as Pillow's Image.resize(…, BILINEAR, box) within a level or
// two. The same bits on every processor.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace hardmoe {

/// A rectangle of pixels within an image.
struct Region {
  int64_t top, left, height, width;
};

/// H×W×3 uint8 pixels in memory, rows `stride` bytes apart.
struct PixelView {
  const uint8_t* data;
  int64_t height, width, stride;
};

/// All of an H×W×3 uint8 image.
PixelView view_of(const Tensor& image);
/// The region's pixels within the view, which must hold them.
PixelView view_of(const PixelView& view, const Region& region);

/// Part of a view in its pixels, not necessarily whole ones: what is left of a rectangle of an
/// image that was decoded at reduced size.
struct Box {
  double top, left, height, width;
};

enum class Mirror { no, yes };

/// What a line of pixels becomes: output i = Σ_k weights[i·taps + k] · input[first[i] + k] / 256.
/// Weights of an output sum to 256; those beyond its own count[i] ≤ taps are 0.
struct AxisWeights {
  int64_t taps = 0;
  std::vector<int64_t> first, count;
  std::vector<uint16_t> weights;
};

/// Weights that resample [begin, begin + length) of a line of `available` pixels to `outputs`.
/// Pixels the interval does not touch have no influence.
void set_axis_weights(double begin, double length, int64_t available, int64_t outputs,
                      AxisWeights& axis);

/// Resamples; keeps its tables and line from call to call, so that nothing is allocated when sizes
/// recur. For one thread.
class Resizer {
 public:
  /// `box` of `view` as height×width×3 contiguous bytes at `out`. The box must lie within the view
  /// and not be empty.
  void resize(const PixelView& view, const Box& box, int64_t height, int64_t width, Mirror mirror,
              uint8_t* out);

 private:
  /// Up to five neighbouring output pixels that one 16-byte load a tap suffices for.
  struct Block {
    int64_t source, target;  ///< bytes into the input and output line
  };
  void make_blocks(int64_t width, Mirror mirror);

  AxisWeights rows_, columns_;
  std::vector<Block> blocks_;
  std::vector<uint8_t> places_;    ///< blocks × 16: which loaded byte goes where
  std::vector<uint16_t> weights_;  ///< blocks × taps × 16
  std::vector<uint8_t> line_,
      end_;  ///< one input line with room to load beyond it; the last output
  std::vector<const uint8_t*> sources_;
};

/// The image with its short side `size`, aspect ratio kept; the same image if that is no smaller.
Tensor shrink_short_side(const Tensor& image, int64_t size);

}  // namespace hardmoe
