// Computes element by element over activations of any precision, in chunks that are converted to
// float32 and stay in the cache. For operators that do not need a kernel of their own for each
// combination of precisions (cpu/gelu.cpp).
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/threads.h"
#include "engine/cpu/kernels.h"

namespace hardmoe::cpu {

/// A range of elements that one thread works on.
class FloatChunk {
 public:
  static constexpr int64_t capacity = 1024;  ///< maximum of size(), in elements

  FloatChunk(int64_t first, int64_t size) : first_(first), size_(size) {}
  int64_t size() const { return size_; }

  /// Returns the range's elements of `array` as float32, without copying if they are float32. At
  /// most two results are valid at a time: a third read() overwrites the first.
  const float* read(Activations array) {
    if (array.precision != Precision::bf16) return static_cast<const float*>(array.data) + first_;
    float* room = reads_[next_];
    next_ = 1 - next_;
    to_float({static_cast<BFloat16*>(array.data) + first_, Precision::bf16}, size_, room);
    return room;
  }
  /// Copies the range's elements of `array` to result(), as float32, and returns that.
  float* copy(Activations array) {
    to_float(from_element(array, first_), size_, result_);
    return result_;
  }
  /// Returns a buffer of `capacity` floats, for results.
  float* result() { return result_; }
  /// Writes size() values to the range's elements of `array`, rounded if that is bf16.
  void write(const float* values, Activations array) const {
    from_float(values, size_, from_element(array, first_));
  }

 private:
  int64_t first_, size_;
  int next_ = 0;
  alignas(64) float reads_[2][capacity];
  alignas(64) float result_[capacity];
};

/// Calls body(chunk) for chunks that together cover elements 0 … n−1, in parallel.
template <class Body>
void for_float_chunks(int64_t n, const Body& body) {
  constexpr int64_t grain = 1 << 14;
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += FloatChunk::capacity) {
      FloatChunk chunk(i, std::min(FloatChunk::capacity, end - i));
      body(chunk);
    }
  });
}

}  // namespace hardmoe::cpu
