// y = max(x, 0). If a batch norm, perhaps with a fused add, makes x and nothing else reads that, it
// is fused into the norm (engine/graph.h).
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Relu {
  static constexpr const char* type = "relu";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  static Relu from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Relu& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Relu& op, LayerBuilder& builder);
}

}  // namespace hardmoe
