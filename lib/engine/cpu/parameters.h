// The layout of a program's parameters in one float32 array, so that an update is one loop. Each
// has the layout that its primitives want; save() and load() convert to and from PyTorch's names
// and layouts. Holds no values: weights, gradients and moments are arrays of this layout.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/cpu/onednn.h"
#include "engine/graph.h"
#include "tensor/safetensors.h"

namespace hardmoe::cpu {

/// Which parameters are saved or loaded.
enum class Which { all, trained };

class Parameters {
 public:
  /// Adds a parameter and returns its number. `held`: its layout in memory; null for a vector.
  /// `plain`: PyTorch's layout; null if the shape implies it.
  int add(const ParameterSpec& spec, Pace pace, const onednn::Desc* held,
          const onednn::Desc* plain);
  /// Sets the offsets of all parameters: those of full pace first, then slow ones, then those that
  /// are not trained. Call it once, after the last add().
  void lay_out();

  /// Returns where a parameter begins in the array, in floats.
  int64_t offset(int number) const { return entries_[static_cast<size_t>(number)].offset; }
  /// Returns a parameter's layout in memory. Only for one that was added with `held`.
  const onednn::Desc& layout(int number) const {
    return *entries_[static_cast<size_t>(number)].held;
  }
  /// Returns the floats of an array that holds all parameters.
  int64_t length() const { return length_; }
  /// Returns the floats of its beginning, which holds the trained parameters.
  int64_t trained_length() const { return trained_length_; }
  /// Returns the floats of that beginning's beginning, which holds those of full pace.
  int64_t full_length() const { return full_length_; }

  /// Copies parameters from `array` to `into`, named `prefix` + their names, float32.
  void save(const Tensor& array, const std::string& prefix, Which which, StateDict& into) const;
  /// Copies them back from `from` to `array`. Throws Error naming `where` and the tensor that is
  /// missing or has another shape.
  void load(const StateDict& from, const std::string& prefix, Which which, const std::string& where,
            Tensor& array) const;

 private:
  struct Entry {
    ParameterSpec spec;
    Pace pace;
    bool trained() const { return pace != Pace::none; }
    std::optional<onednn::Desc> held;  ///< of weights; others are plain vectors
    onednn::Desc plain;                ///< of weights: PyTorch's layout
    int64_t length;                    ///< floats held, padding of the layout included
    int64_t offset = 0;                ///< in floats, a multiple of 16
  };
  std::vector<Entry> entries_;
  int64_t length_ = 0;
  int64_t trained_length_ = 0;
  int64_t full_length_ = 0;
};

}  // namespace hardmoe::cpu
