// GELU (Hendrycks & Gimpel 2016): y = x·Φ(x), where Φ is the normal distribution's cumulative
// function, not its tanh approximation. As torch.nn.GELU by default.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Gelu {
  static constexpr const char* type = "gelu";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  static Gelu from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Gelu& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Gelu& op, LayerBuilder& builder);
}

}  // namespace hardmoe
