#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <opencv2/imgproc.hpp>

#include "base/error.h"

namespace hardmoe {
namespace {

/// Loading and training have their own threads; OpenCV is to work in the caller's and to print
/// nothing.
void set_up_opencv() {
  static const bool once = [] {
    cv::setNumThreads(0);
    cv::redirectError([](int, const char*, const char*, const char*, int, void*) { return 0; });
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace

void resize_region(const Tensor& image, const Region& region, int64_t out_height, int64_t out_width,
                   uint8_t* out) {
  const auto stride = static_cast<size_t>(3 * image.size(1));
  const uint8_t* begin = image.as<uint8_t>().data() + static_cast<size_t>(region.top) * stride +
                         3 * static_cast<size_t>(region.left);
  if (region.height == out_height && region.width == out_width) {
    const auto row = static_cast<size_t>(3 * out_width);
    for (int64_t y = 0; y < out_height; ++y, begin += stride, out += row) {
      std::memcpy(out, begin, row);
    }
    return;
  }
  set_up_opencv();
  const cv::Mat source(static_cast<int>(region.height), static_cast<int>(region.width), CV_8UC3,
                       const_cast<uint8_t*>(begin), stride);
  cv::Mat target(static_cast<int>(out_height), static_cast<int>(out_width), CV_8UC3, out);
  const bool shrinks = out_height <= region.height && out_width <= region.width;
  try {
    cv::resize(source, target, target.size(), 0, 0, shrinks ? cv::INTER_AREA : cv::INTER_LINEAR);
  } catch (const cv::Exception& error) {
    fail("resizing {}×{} pixels to {}×{}: {}", region.width, region.height, out_width, out_height,
         error.what());
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
  resize_region(image, {0, 0, height, width}, small.size(0), small.size(1),
                small.as<uint8_t>().data());
  return small;
}

}  // namespace hardmoe
