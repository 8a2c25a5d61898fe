// A program's parameters in one array, in the layouts its primitives want, so that an update is one
// loop; and their way to and from PyTorch's names and layouts.
#pragma once

#include <string>
#include <vector>

#include "engine/cpu/onednn.h"
#include "nn/network.h"
#include "tensor/safetensors.h"

namespace hardmoe::cpu {

class Parameters {
 public:
  struct Slot {
    ParameterSpec spec;
    onednn::Desc layout;  ///< of weights; others are plain vectors
    int64_t offset = 0;   ///< in floats, a multiple of 16
    int64_t length = 0;   ///< floats held, padding of the layout included
  };

  /// Places a parameter; learned ones must all come before the running statistics. Returns its
  /// slot.
  int add(const ParameterSpec& spec, const onednn::Desc* layout);

  const std::vector<Slot>& slots() const { return slots_; }
  const Slot& slot(int index) const { return slots_[static_cast<size_t>(index)]; }
  /// Floats of an array that holds all slots, and of its learned beginning.
  int64_t length() const { return length_; }
  int64_t learned_length() const { return learned_length_; }

  /// Copies every slot out of `array` under `prefix` + its name; only the learned ones if asked.
  void save(const Tensor& array, const std::string& prefix, bool learned_only,
            StateDict& into) const;
  /// The way back. Throws Error naming `where` and the tensor that is missing or misshapen.
  void load(const StateDict& from, const std::string& prefix, bool learned_only,
            const std::string& where, Tensor& array) const;

 private:
  bool is_weight(const Slot& slot) const;
  std::vector<Slot> slots_;
  int64_t length_ = 0;
  int64_t learned_length_ = 0;
};

}  // namespace hardmoe::cpu
