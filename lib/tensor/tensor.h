// A dense, row-major array in host memory, aligned to 64 bytes. Copies share the storage; clone()
// does not. Not for devices: engines keep memory of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace hardmoe {

/// The extents of the axes, outermost first.
using Shape = std::vector<int64_t>;

/// Returns the product of the extents.
int64_t element_count(const Shape& shape);
/// Returns the shape as text, such as "64×3×7×7".
std::string to_string(const Shape& shape);

/// An array with an element type known at run time.
class Tensor {
 public:
  Tensor() = default;
  /// Makes a tensor of zeros.
  Tensor(DType dtype, Shape shape);

  /// Makes a tensor with arbitrary contents, which the caller then writes whole, perhaps from
  /// several threads.
  static Tensor uninitialized(DType dtype, Shape shape);

  /// Makes a tensor with a copy of `values`, as many as the shape has elements.
  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t size(size_t axis) const { return shape_.at(axis); }
  int64_t elements() const { return element_count(shape_); }
  size_t bytes() const { return static_cast<size_t>(elements()) * size_of(dtype_); }
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }

  /// Returns the elements. Throws Error if T is not the tensor's type.
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

  /// Returns a tensor with a storage of its own.
  Tensor clone() const;
  /// Returns the same storage under another shape. Throws Error unless the element counts agree.
  Tensor reshaped(Shape shape) const;

 private:
  void check_type(DType wanted) const;
  DType dtype_ = DType::f32;
  Shape shape_{0};
  std::shared_ptr<std::byte[]> data_;
};

/// Returns a float32 copy of a floating tensor (f16, bf16, f32, f64). Throws Error for integers.
Tensor to_float32(const Tensor& tensor);

template <class T>
Tensor Tensor::from(const std::vector<T>& values, Shape shape) {
  Tensor tensor(dtype_of<T>, std::move(shape));
  const auto target = tensor.as<T>();
  for (size_t i = 0; i < target.size(); ++i) target[i] = values.at(i);
  return tensor;
}

}  // namespace hardmoe
