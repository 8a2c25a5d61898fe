// The linear layer that gives scores, in inference: each row's sums are added in one order, so that an
// answer is the same to the bit whatever rows are beside it. oneDNN's products differ by their rounding
// from one number of rows to another (2.6 on processors without AVX-512).
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/work.h"

namespace hardmoe::cpu {

class Head {
 public:
  Head(int64_t depth, int64_t channels);

  /// Returns the bytes of the copy of the weights that place() takes.
  size_t copy_bytes() const;
  /// Tells it where the weights (channels×depth, float32) are, and gives it room for a copy.
  void place(const float* weights, std::byte* copy);
  /// Tells it that the weights have changed.
  void refresh();
  /// Returns the work that computes y = W·x + b for `rows` rows. `bias`: null for none.
  Work forward(const float* x, const float* bias, int64_t rows, float* y) const;

 private:
  void multiply(const float* x, const float* bias, int64_t rows, int64_t panel, float* y) const;

  int64_t depth_, channels_;
  int64_t width_;  ///< columns of a panel of the copy, which has `depth` rows
  int64_t panels_;
  const float* weights_ = nullptr;
  float* copy_ = nullptr;
};

}  // namespace hardmoe::cpu
