// A program's parameters in one array on the device, so that an update is one kernel: where each
// lies, and its way to and from PyTorch's names and layouts. Channels are held padded to whole
// memory accesses; the padding is zero and stays so.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "nn/network.h"
#include "tensor/safetensors.h"

namespace hardmoe::cuda {

class Parameters {
 public:
  struct Slot {
    ParameterSpec spec;
    int64_t out = 0;     ///< channels held: of the output (or the whole vector),
    int64_t in = 0;      ///< and of the input; 1 for vectors
    int64_t offset = 0;  ///< in floats, a multiple of 64
    int64_t length = 0;  ///< floats held
  };

  /// Places a parameter; learned ones must all come before the running statistics. Weights of
  /// convolutions are held out×K×K×in, of linear layers out×in. Returns its slot.
  int add(const ParameterSpec& spec, int64_t out, int64_t in = 1);

  const std::vector<Slot>& slots() const { return slots_; }
  const Slot& slot(int index) const { return slots_[static_cast<size_t>(index)]; }
  /// Floats of an array that holds all slots, and of its learned beginning.
  int64_t length() const { return length_; }
  int64_t learned_length() const { return learned_length_; }

  /// Copies every slot out of `array` under `prefix` + its name; only the learned ones if asked.
  void save(std::span<const float> array, const std::string& prefix, bool learned_only,
            StateDict& into) const;
  /// The way back; what belongs to no slot becomes 0. Throws Error naming `where` and the tensor
  /// that is missing or misshapen.
  void load(const StateDict& from, const std::string& prefix, bool learned_only,
            const std::string& where, std::span<float> array) const;

 private:
  std::vector<Slot> slots_;
  int64_t length_ = 0;
  int64_t learned_length_ = 0;
};

}  // namespace hardmoe::cuda
