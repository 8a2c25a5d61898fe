// The softmax over the channels of each row, which are float32 (a gate's values, one an expert).
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Softmax {
  static constexpr const char* type = "softmax";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  static Softmax from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Softmax& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Softmax& op, LayerBuilder& builder);
}

}  // namespace hardmoe
