#include "engine/cpu/parameters.h"

#include <algorithm>

namespace hardmoe::cpu {

int Parameters::add(const ParameterSpec& spec, const onednn::Desc* layout) {
  Slot slot{spec, {}, length_, element_count(spec.shape)};
  if (layout != nullptr) {
    slot.layout = *layout;
    slot.length = static_cast<int64_t>(layout->get_size() / sizeof(float));
  }
  length_ += (slot.length + 15) / 16 * 16;
  if (spec.learned()) learned_length_ = length_;
  slots_.push_back(std::move(slot));
  return static_cast<int>(slots_.size()) - 1;
}

bool Parameters::is_weight(const Slot& slot) const {
  return slot.spec.kind == ParameterKind::conv_weight ||
         slot.spec.kind == ParameterKind::linear_weight;
}

void Parameters::save(const Tensor& array, const std::string& prefix, bool learned_only,
                      StateDict& into) const {
  const auto all = array.as<float>();
  for (const Slot& slot : slots_) {
    if (learned_only && !slot.spec.learned()) continue;
    Tensor tensor(DType::f32, slot.spec.shape);
    const float* source = all.data() + slot.offset;
    if (is_weight(slot)) {
      onednn::Reorder(slot.layout, onednn::plain_weight(slot.spec.shape))
          .run(source, tensor.data());
    } else {
      std::copy_n(source, slot.length, tensor.as<float>().data());
    }
    into.insert_or_assign(prefix + slot.spec.name, std::move(tensor));
  }
}

void Parameters::load(const StateDict& from, const std::string& prefix, bool learned_only,
                      const std::string& where, Tensor& array) const {
  const auto all = array.as<float>();
  for (const Slot& slot : slots_) {
    if (learned_only && !slot.spec.learned()) continue;
    const Tensor tensor =
        to_float32(require_tensor(from, prefix + slot.spec.name, where, &slot.spec.shape));
    float* target = all.data() + slot.offset;
    if (is_weight(slot)) {
      onednn::Reorder(onednn::plain_weight(slot.spec.shape), slot.layout)
          .run(tensor.data(), target);
    } else {
      std::copy_n(tensor.as<float>().data(), slot.length, target);
    }
  }
}

}  // namespace hardmoe::cpu
