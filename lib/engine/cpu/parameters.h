// A program's parameters in one array, in the layouts its primitives want, so that an update is one
// loop; and their way to and from PyTorch's names and layouts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/cpu/onednn.h"
#include "tensor/safetensors.h"

namespace hardmoe::cpu {

/// Which parameters are saved or loaded.
enum class Which { all, trained };

class Parameters {
 public:
  /// Adds a parameter and returns its number. `held`: the layout of a weight in memory, null for a
  /// plain vector; `plain`: PyTorch's layout, null where the shape tells it.
  int add(const ParameterSpec& spec, bool trained, const onednn::Desc* held,
          const onednn::Desc* plain);
  /// Gives all parameters their offsets, trained ones first; after the last add().
  void lay_out();

  int64_t offset(int number) const { return entries_[static_cast<size_t>(number)].offset; }
  /// The layout in which the parameter, a weight, is held.
  const onednn::Desc& layout(int number) const {
    return *entries_[static_cast<size_t>(number)].held;
  }
  /// Floats of an array that holds all parameters, and of its trained beginning.
  int64_t length() const { return length_; }
  int64_t trained_length() const { return trained_length_; }

  /// Copies parameters out of `array` under `prefix` + their names.
  void save(const Tensor& array, const std::string& prefix, Which which, StateDict& into) const;
  /// The way back. Throws Error naming `where` and the tensor that is missing or misshapen.
  void load(const StateDict& from, const std::string& prefix, Which which, const std::string& where,
            Tensor& array) const;

 private:
  struct Entry {
    ParameterSpec spec;
    bool trained;
    std::optional<onednn::Desc> held;  ///< of weights; others are plain vectors
    onednn::Desc plain;                ///< of weights: PyTorch's layout
    int64_t length;                    ///< floats held, padding of the layout included
    int64_t offset = 0;                ///< in floats, a multiple of 16
  };
  std::vector<Entry> entries_;
  int64_t length_ = 0;
  int64_t trained_length_ = 0;
};

}  // namespace hardmoe::cpu
