// A linear layer: y = W·x + b for each row. An H×W×C map is taken as one vector in PyTorch's order
// (all positions of the first channel first, as torch.flatten of N×C×H×W). Weights O×(C·H·W), bias
// O; the output is float32 at every precision. Attribute: channels (O).
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Linear {
  static constexpr const char* type = "linear";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = false;

  int64_t channels = 1;

  static Linear from(Attributes& attributes) { return {attributes.size("channels")}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes inputs) const;
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Linear& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Linear& op, LayerBuilder& builder);
}

}  // namespace hardmoe
