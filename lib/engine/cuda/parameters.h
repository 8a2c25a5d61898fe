// A program's parameters in one array on the device, so that an update is one kernel: where each
// lies, and its way to and from PyTorch's names and layouts. Channels are held padded to whole
// memory accesses; the padding is zero and stays so.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/graph.h"
#include "tensor/safetensors.h"

namespace hardmoe::cuda {

/// Which parameters are saved or loaded.
enum class Which { all, trained };

class Parameters {
 public:
  /// Adds a parameter and returns its number. Weights are held out×window×in channels, where
  /// PyTorch has O×I×window; vectors have a window and an `in` of 1; tables of 1×O×I are held as
  /// O×I.
  int add(const ParameterSpec& spec, Pace pace, int64_t out, int64_t in, int64_t window);
  /// Gives all parameters their offsets: those of full pace first, then slow ones, then those that
  /// are not trained; after the last add().
  void lay_out();

  int64_t offset(int number) const { return entries_[static_cast<size_t>(number)].offset; }
  /// Floats of an array that holds all parameters, of its trained beginning, and of that one's
  /// beginning of full pace.
  int64_t length() const { return length_; }
  int64_t trained_length() const { return trained_length_; }
  int64_t full_length() const { return full_length_; }

  /// Copies parameters out of `array` under `prefix` + their names.
  void save(std::span<const float> array, const std::string& prefix, Which which,
            StateDict& into) const;
  /// The way back; what belongs to no parameter becomes 0. Throws Error naming `where` and the
  /// tensor that is missing or misshapen.
  void load(const StateDict& from, const std::string& prefix, Which which, const std::string& where,
            std::span<float> array) const;

 private:
  struct Entry {
    ParameterSpec spec;
    Pace pace;
    bool trained() const { return pace != Pace::none; }
    int64_t out, in, window;  ///< held
    int64_t length;           ///< floats held
    int64_t offset = 0;       ///< in floats, a multiple of 64
  };
  template <class Copy>
  static void for_each_element(const Entry& entry, const Copy& copy);

  std::vector<Entry> entries_;
  int64_t length_ = 0;
  int64_t trained_length_ = 0;
  int64_t full_length_ = 0;
};

}  // namespace hardmoe::cuda
