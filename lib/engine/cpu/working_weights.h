// The weights of a oneDNN layer in the layouts and the precision its primitives want, kept beside
// the float32 ones that the optimiser updates. Where a primitive takes those as they are, no copy
// is made.
#pragma once

#include <memory>

#include "engine/cpu/onednn.h"
#include "tensor/tensor.h"

namespace hardmoe::cpu {

class WorkingWeights {
 public:
  /// `weights` lie in layout `held` and stay where they are.
  void place(const float* weights, const onednn::Desc& held, const onednn::Layer& layer);
  void refresh();

  const void* forward() const { return forward_.of(weights_); }
  const void* backward() const { return backward_.of(weights_); }
  size_t bytes() const { return forward_.data.bytes() + backward_.data.bytes(); }

 private:
  struct Copy {
    Tensor data;
    std::unique_ptr<onednn::Reorder> reorder;  ///< null: the weights themselves serve
    void make(const onednn::Desc& held, const onednn::Desc& wanted);
    const void* of(const float* weights) const {
      return reorder ? data.data() : static_cast<const void*>(weights);
    }
  };
  const float* weights_ = nullptr;
  Copy forward_, backward_;
};

}  // namespace hardmoe::cpu
