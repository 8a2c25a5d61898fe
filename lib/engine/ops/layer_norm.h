// Layer normalisation (Ba et al. 2016) over the channels of each position, with weight and bias, as
// torch.nn.LayerNorm(C) on N×H×W×C or N×T×C. Attribute: epsilon (if missing, 1e-5).
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct LayerNorm {
  static constexpr const char* type = "layer_norm";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  float epsilon = 1e-5F;

  static LayerNorm from(Attributes& attributes) {
    return {static_cast<float>(attributes.number("epsilon", 1e-5))};
  }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const LayerNorm& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const LayerNorm& op, LayerBuilder& builder);
}

}  // namespace hardmoe
