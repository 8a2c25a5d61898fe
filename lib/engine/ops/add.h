// Adds two values of the same type. If a batch norm makes the first and nothing else reads that,
// the addition is fused into the norm (engine/graph.h).
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Add {
  static constexpr const char* type = "add";
  static constexpr size_t reads = 2;
  static constexpr bool keeps_channels = true;

  static Add from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Add& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Add& op, LayerBuilder& builder);
}

}  // namespace hardmoe
