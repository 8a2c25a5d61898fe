// Global average pooling: the mean over all positions of an image, or over all its tokens. N×H×W×C
// (or N×T×C) to N×C, float32 at every precision.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct GlobalAvgPool {
  static constexpr const char* type = "global_avg_pool";
  static constexpr size_t reads = 1;
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
