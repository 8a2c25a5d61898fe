#include "engine/cpu/head.h"

#include <algorithm>
#include <vector>

#include "base/threads.h"
#include "tensor/tile_product.h"

namespace hardmoe::cpu {
namespace {

constexpr int64_t rows_at_a_time = 32;

}  // namespace

Head::Head(int64_t depth, int64_t channels)
    : depth_(depth),
      channels_(channels),
      width_(tile_levels()[0].columns),
      panels_((channels + width_ - 1) / width_) {}

size_t Head::copy_bytes() const {
  return static_cast<size_t>(panels_ * width_ * depth_) * sizeof(float);
}

void Head::place(const float* weights, std::byte* copy) {
  weights_ = weights;
  copy_ = reinterpret_cast<float*>(copy);
}

void Head::refresh() {
  parallel_for(panels_, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin * width_; c < std::min(channels_, end * width_); ++c) {
      float* column = copy_ + c / width_ * width_ * depth_ + c % width_;
      for (int64_t d = 0; d < depth_; ++d) column[d * width_] = weights_[c * depth_ + d];
    }
  });
}

Work Head::forward(const float* x, const float* bias, int64_t rows, float* y) const {
  return [=, this] {
    parallel_for(panels_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) multiply(x, bias, rows, panel, y);
    });
  };
}

/// Computes the panel's columns of all rows.
void Head::multiply(const float* x, const float* bias, int64_t rows, int64_t panel,
                    float* y) const {
  const int64_t first = panel * width_, count = std::min(width_, channels_ - first);
  std::vector<float> start(static_cast<size_t>(width_), 0.0F),
      sums(static_cast<size_t>(rows_at_a_time * width_));
  if (bias != nullptr) std::copy_n(bias + first, count, start.begin());
  for (int64_t row = 0; row < rows; row += rows_at_a_time) {
    const int64_t some = std::min(rows_at_a_time, rows - row);
    hardmoe::multiply({.a = x + row * depth_,
                       .row_stride = depth_,
                       .depth_stride = 1,
                       .b = copy_ + first * depth_,
                       .b_stride = width_,
                       .start = start.data(),
                       .start_stride = 0,
                       .out = sums.data(),
                       .out_stride = width_,
                       .rows = some,
                       .columns = width_,
                       .depth = depth_});
    for (int64_t r = 0; r < some; ++r) {
      std::copy_n(sums.data() + r * width_, count, y + (row + r) * channels_ + first);
    }
  }
}

}  // namespace hardmoe::cpu
