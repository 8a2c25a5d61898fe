#include "tensor/tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "base/error.h"

namespace hardmoe {

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

std::string to_string(const Shape& shape) { return fmt::format("{}", fmt::join(shape, "×")); }

Tensor::Tensor(DType dtype, Shape shape) : Tensor(uninitialized(dtype, std::move(shape))) {
  std::memset(data_.get(), 0, bytes());
}

Tensor Tensor::uninitialized(DType dtype, Shape shape) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  // Large arrays are read end to end again and again: huge pages avoid most TLB misses.
  constexpr size_t huge_page = size_t{1} << 21;
  const size_t count = std::max<size_t>(tensor.bytes(), 1);
  const bool large = count >= 2 * huge_page;
  const std::align_val_t alignment{large ? huge_page : 64};
  tensor.data_ =
      std::shared_ptr<std::byte[]>(static_cast<std::byte*>(::operator new(count, alignment)),
                                   [alignment](std::byte* p) { ::operator delete(p, alignment); });
  if (large) ::madvise(tensor.data_.get(), count, MADV_HUGEPAGE);
  return tensor;
}

void Tensor::check_type(DType wanted) const {
  if (wanted != dtype_) {
    fail("tensor of {} read as {}; convert it first", name_of(dtype_), name_of(wanted));
  }
}

Tensor Tensor::clone() const {
  Tensor copy(dtype_, shape_);
  if (bytes() > 0) std::memcpy(copy.data(), data(), bytes());
  return copy;
}

Tensor Tensor::reshaped(Shape shape) const {
  if (element_count(shape) != elements()) {
    fail("cannot view a tensor of {} as {}", to_string(shape_), to_string(shape));
  }
  Tensor view = *this;
  view.shape_ = std::move(shape);
  return view;
}

Tensor to_float32(const Tensor& tensor) {
  Tensor result(DType::f32, tensor.shape());
  convert_to_float(tensor.dtype(), tensor.data(), tensor.elements(), result.as<float>().data());
  return result;
}

}  // namespace hardmoe
