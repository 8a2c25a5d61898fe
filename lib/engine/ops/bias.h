// Adds a learned vector to the channels of every position: y = x + b, with the parameter NAME.bias of
// C values. As a convolution's bias in PyTorch.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Bias {
  static constexpr const char* type = "bias";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  static Bias from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Bias& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Bias& op, LayerBuilder& builder);
}

}  // namespace hardmoe
