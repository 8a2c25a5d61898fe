// The weights of a oneDNN layer in the layouts and the precision its primitives want, copied from
// the float32 ones that the optimiser updates. Where a primitive takes those as they are, there is
// no copy.
#pragma once

#include <cstddef>
#include <memory>

#include "engine/cpu/onednn.h"

namespace hardmoe::cpu {

class WorkingWeights {
 public:
  /// For weights that lie in layout `held`.
  WorkingWeights(const onednn::Desc& held, const onednn::Layer& layer);

  /// Returns the room that the copies take.
  size_t bytes() const { return forward_.bytes + backward_.bytes; }
  /// Tells it where the weights are, and gives it bytes() of room for the copies.
  void place(const float* weights, std::byte* room);
  void refresh();

  const void* forward() const { return forward_.of(weights_); }
  const void* backward() const { return backward_.of(weights_); }

 private:
  struct Copy {
    std::unique_ptr<onednn::Reorder> reorder;  ///< null: the weights themselves serve
    size_t bytes = 0;
    std::byte* data = nullptr;
    void make(const onednn::Desc& held, const onednn::Desc& wanted);
    const void* of(const float* weights) const {
      return reorder ? data : static_cast<const void*>(weights);
    }
  };
  const float* weights_ = nullptr;
  Copy forward_, backward_;
};

}  // namespace hardmoe::cpu
