#include "engine/cuda/parameters.h"

#include <algorithm>

namespace hardmoe::cuda {

/// Calls copy(position in PyTorch's tensor, position in the array) for every element.
template <class Copy>
void Parameters::for_each_element(const Entry& entry, const Copy& copy) {
  const Shape& shape = entry.spec.shape;
  const int64_t out = shape.size() == 3 ? shape[0] * shape[1] : shape[0];
  const int64_t in = element_count(shape) / out / entry.window;
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t k = 0; k < entry.window; ++k) {
        copy((o * in + i) * entry.window + k, (o * entry.window + k) * entry.in + i);
      }
    }
  }
}

int Parameters::add(const ParameterSpec& spec, Pace pace, int64_t out, int64_t in, int64_t window) {
  entries_.push_back({spec, pace, out, in, window, out * window * in});
  return static_cast<int>(entries_.size()) - 1;
}

void Parameters::lay_out() {
  constexpr int64_t alignment = 64;  // 128 bytes of bf16
  length_ = 0;
  for (const Pace pace : {Pace::full, Pace::slow, Pace::none}) {
    for (Entry& entry : entries_) {
      if (entry.pace != pace) continue;
      entry.offset = length_;
      length_ += (entry.length + alignment - 1) / alignment * alignment;
    }
    if (pace == Pace::full) full_length_ = length_;
    if (pace == Pace::slow) trained_length_ = length_;
  }
}

void Parameters::save(std::span<const float> array, const std::string& prefix, Which which,
                      StateDict& into) const {
  for (const Entry& entry : entries_) {
    if (which == Which::trained && !entry.trained()) continue;
    Tensor tensor(DType::f32, entry.spec.shape);
    float* target = tensor.as<float>().data();
    const float* source = array.data() + entry.offset;
    for_each_element(entry, [&](int64_t there, int64_t here) { target[there] = source[here]; });
    into.insert_or_assign(prefix + entry.spec.name, std::move(tensor));
  }
}

void Parameters::load(const StateDict& from, const std::string& prefix, Which which,
                      const std::string& where, std::span<float> array) const {
  std::fill(array.begin(), array.end(), 0.0F);
  for (const Entry& entry : entries_) {
    if (which == Which::trained && !entry.trained()) continue;
    const Tensor tensor =
        to_float32(require_tensor(from, prefix + entry.spec.name, where, &entry.spec.shape));
    const float* source = tensor.as<float>().data();
    float* target = array.data() + entry.offset;
    for_each_element(entry, [&](int64_t there, int64_t here) { target[here] = source[there]; });
  }
}

}  // namespace hardmoe::cuda
