// Resizes 8-bit RGB images by antialiased bilinear resampling (the filter is widened if the image
// shrinks), in vectorised integer arithmetic. Within one or two levels of Pillow's
// Image.resize(…, BILINEAR, box); the same bits on every processor.
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

/// Returns a view of an H×W×3 uint8 image, which must outlive it.
PixelView view_of(const Tensor& image);
/// Returns the view of a region, which must lie within `view`.
PixelView view_of(const PixelView& view, const Region& region);

/// A rectangle within a view, in pixels, perhaps with fractions: when an image is decoded at
/// reduced size, a rectangle of whole pixels becomes one of fractions.
struct Box {
  double top, left, height, width;
};

enum class Mirror { no, yes };

/// Weights that resample a line of pixels: output i is
/// Σ_k weights[i·taps + k] · input[first[i] + k] / 256. The weights of each output sum to 256;
/// those from its own count[i] ≤ taps on are 0.
struct AxisWeights {
  int64_t taps = 0;
  std::vector<int64_t> first, count;
  std::vector<uint16_t> weights;
};

/// Sets `axis` to the weights that resample [begin, begin + length) of a line of `available` pixels
/// to `outputs` pixels. Pixels outside the interval have no influence.
void set_axis_weights(double begin, double length, int64_t available, int64_t outputs,
                      AxisWeights& axis);

/// Resizes images, and keeps its buffers from call to call, so that nothing is allocated if sizes
/// do not grow. For one thread at a time.
class Resizer {
 public:
  /// Resizes `box` of `view` and writes height×width×3 contiguous bytes to `out`. The box must lie
  /// within the view and not be empty.
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

/// Returns the H×W×3 image shrunk so that its short side is `size` pixels, with its aspect ratio;
/// the image itself if its short side is at most `size`.
Tensor shrink_short_side(const Tensor& image, int64_t size);

}  // namespace hardmoe
