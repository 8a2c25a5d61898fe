// Prepends a learned token to each image's: N×T×D to N×(T+1)×D. Its parameter is NAME itself, 1×1×D
// as in timm (Dosovitskiy et al. 2021, §3.1).
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct ClassToken {
  static constexpr const char* type = "class_token";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  static ClassToken from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const ClassToken& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const ClassToken& op, LayerBuilder& builder);
}

}  // namespace hardmoe
