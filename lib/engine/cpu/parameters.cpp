#include "engine/cpu/parameters.h"

#include <algorithm>

namespace hardmoe::cpu {

int Parameters::add(const ParameterSpec& spec, Pace pace, const onednn::Desc* held,
                    const onednn::Desc* plain) {
  Entry entry{spec, pace, {}, {}, element_count(spec.shape)};
  if (held != nullptr) {
    entry.held = *held;
    entry.plain = plain != nullptr ? *plain : onednn::plain_weight(spec.shape);
    entry.length = static_cast<int64_t>(held->get_size() / sizeof(float));
  }
  entries_.push_back(std::move(entry));
  return static_cast<int>(entries_.size()) - 1;
}

void Parameters::lay_out() {
  length_ = 0;
  for (const Pace pace : {Pace::full, Pace::slow, Pace::none}) {
    for (Entry& entry : entries_) {
      if (entry.pace != pace) continue;
      entry.offset = length_;
      length_ += (entry.length + 15) / 16 * 16;
    }
    if (pace == Pace::full) full_length_ = length_;
    if (pace == Pace::slow) trained_length_ = length_;
  }
}

void Parameters::save(const Tensor& array, const std::string& prefix, Which which,
                      StateDict& into) const {
  const auto all = array.as<float>();
  for (const Entry& entry : entries_) {
    if (which == Which::trained && !entry.trained()) continue;
    Tensor tensor(DType::f32, entry.spec.shape);
    const float* source = all.data() + entry.offset;
    if (entry.held) {
      onednn::Reorder(*entry.held, entry.plain).run(source, tensor.data());
    } else {
      std::copy_n(source, entry.length, tensor.as<float>().data());
    }
    into.insert_or_assign(prefix + entry.spec.name, std::move(tensor));
  }
}

void Parameters::load(const StateDict& from, const std::string& prefix, Which which,
                      const std::string& where, Tensor& array) const {
  const auto all = array.as<float>();
  for (const Entry& entry : entries_) {
    if (which == Which::trained && !entry.trained()) continue;
    const Tensor tensor =
        to_float32(require_tensor(from, prefix + entry.spec.name, where, &entry.spec.shape));
    float* target = all.data() + entry.offset;
    if (entry.held) {
      onednn::Reorder(entry.plain, *entry.held).run(tensor.data(), target);
    } else {
      std::copy_n(tensor.as<float>().data(), entry.length, target);
    }
  }
}

}  // namespace hardmoe::cpu
