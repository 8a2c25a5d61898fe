#include "engine/cuda/parameters.h"

#include <algorithm>

namespace hardmoe::cuda {
namespace {

/// Places of a convolution's window; 1 for everything else.
int64_t window_of(const ParameterSpec& spec) {
  return spec.shape.size() == 4 ? spec.shape[2] * spec.shape[3] : 1;
}

/// Calls copy(place in PyTorch's tensor, place in the slot) for every element.
template <class Copy>
void for_each_element(const Parameters::Slot& slot, const Copy& copy) {
  const Shape& shape = slot.spec.shape;
  const int64_t out = shape[0];
  const int64_t in = shape.size() > 1 ? shape[1] : 1;
  const int64_t window = window_of(slot.spec);
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t k = 0; k < window; ++k) {
        copy((o * in + i) * window + k, (o * window + k) * slot.in + i);
      }
    }
  }
}

}  // namespace

int Parameters::add(const ParameterSpec& spec, int64_t out, int64_t in) {
  constexpr int64_t alignment = 64;  // 128 bytes of bf16
  Slot slot{spec, out, in, length_, out * window_of(spec) * in};
  length_ += (slot.length + alignment - 1) / alignment * alignment;
  if (spec.learned()) learned_length_ = length_;
  slots_.push_back(std::move(slot));
  return static_cast<int>(slots_.size()) - 1;
}

void Parameters::save(std::span<const float> array, const std::string& prefix, bool learned_only,
                      StateDict& into) const {
  for (const Slot& slot : slots_) {
    if (learned_only && !slot.spec.learned()) continue;
    Tensor tensor(DType::f32, slot.spec.shape);
    float* target = tensor.as<float>().data();
    const float* source = array.data() + slot.offset;
    for_each_element(slot, [&](int64_t there, int64_t here) { target[there] = source[here]; });
    into.insert_or_assign(prefix + slot.spec.name, std::move(tensor));
  }
}

void Parameters::load(const StateDict& from, const std::string& prefix, bool learned_only,
                      const std::string& where, std::span<float> array) const {
  std::fill(array.begin(), array.end(), 0.0F);
  for (const Slot& slot : slots_) {
    if (learned_only && !slot.spec.learned()) continue;
    const Tensor tensor =
        to_float32(require_tensor(from, prefix + slot.spec.name, where, &slot.spec.shape));
    const float* source = tensor.as<float>().data();
    float* target = array.data() + slot.offset;
    for_each_element(slot, [&](int64_t there, int64_t here) { target[here] = source[there]; });
  }
}

}  // namespace hardmoe::cuda
