// A dense, row-major array in host memory, 64-byte aligned. Copies share the storage; clone() does
// not. Not a device tensor: engines keep their own memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace hardmoe {

using Shape = std::vector<int64_t>;

int64_t element_count(const Shape& shape);
/// "64×3×7×7".
std::string to_string(const Shape& shape);

class Tensor {
 public:
  Tensor() = default;
  /// Zero-filled.
  Tensor(DType dtype, Shape shape);

  /// Of whatever is in the memory: for one that is written whole next, by several threads.
  static Tensor unfilled(DType dtype, Shape shape);

  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t size(size_t axis) const { return shape_.at(axis); }
  int64_t elements() const { return element_count(shape_); }
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(dtype_); }
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }

  /// The elements as T. Throws Error if T is not the tensor's type.
  template <class T>
  std::span<T> as() {
    check_type(dtype_of<T>);
    return {reinterpret_cast<T*>(data_.get()), static_cast<size_t>(elements())};
  }
  template <class T>
  std::span<const T> as() const {
    check_type(dtype_of<T>);
    return {reinterpret_cast<const T*>(data_.get()), static_cast<size_t>(elements())};
  }

  Tensor clone() const;
  /// The same storage under another shape of equal element count.
  Tensor reshaped(Shape shape) const;

 private:
  void check_type(DType wanted) const;
  DType dtype_ = DType::f32;
  Shape shape_{0};
  std::shared_ptr<std::byte[]> data_;
};

/// A float32 copy of a floating tensor (f16, bf16, f32, f64). Throws Error for integers.
Tensor to_float32(const Tensor& tensor);

template <class T>
Tensor Tensor::from(const std::vector<T>& values, Shape shape) {
  Tensor tensor(dtype_of<T>, std::move(shape));
  const auto target = tensor.as<T>();
  for (size_t i = 0; i < target.size(); ++i) target[i] = values.at(i);
  return tensor;
}

}  // namespace hardmoe
