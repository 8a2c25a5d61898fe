// The mean over all positions and, where rows are tokens, over all tokens of an image: one float32
// vector an image.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct GlobalAvgPool {
  static constexpr const char* type = "global_avg_pool";
  static constexpr bool keeps_channels = true;

  static GlobalAvgPool from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const GlobalAvgPool& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const GlobalAvgPool& op, LayerBuilder& builder);
}

}  // namespace hardmoe
