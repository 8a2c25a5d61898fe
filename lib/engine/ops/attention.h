// Multi-head self-attention without its projections (Vaswani et al. 2017, §3.2): of each image's tokens,
// T×3D to T×D, softmax(Q·Kᵀ/√(D/heads))·V for each head. A token's 3D channels are all of Q, then all
// of K, then all of V, in each the heads side by side, as timm and torch lay them out. The T×T weights
// are computed again in the backward pass, not kept. Attribute: heads.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Attention {
  static constexpr const char* type = "attention";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = false;
  static constexpr bool multiplies_inputs = true;  ///< both factors of its products are inputs

  int64_t heads = 1;

  static Attention from(Attributes& attributes) { return {attributes.integer("heads")}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes inputs) const;
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Attention& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Attention& op, LayerBuilder& builder);
}

}  // namespace hardmoe
