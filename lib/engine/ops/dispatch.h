// Copies rows to the experts they were given to: from rows and their routing (engine/ops/routing.h)
// to routed rows, sorted by expert. Unused routed rows become zero. A row's gradient is the sum of
// those of its copies.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Dispatch {
  static constexpr const char* type = "dispatch";
  static constexpr size_t reads = 2;
  static constexpr bool keeps_channels = true;

  int64_t experts = 1;

  static Dispatch from(Attributes& attributes) { return {attributes.size("experts")}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Dispatch& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Dispatch& op, LayerBuilder& builder);
}

}  // namespace hardmoe
