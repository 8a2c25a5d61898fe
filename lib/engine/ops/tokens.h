// Makes each position of a map a row: N×H×W×C to N×(H·W)×C tokens, in row-major order of positions.
// Output and input share a buffer; nothing is computed.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Tokens {
  static constexpr const char* type = "tokens";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  static Tokens from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Tokens& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Tokens& op, LayerBuilder& builder);
}

}  // namespace hardmoe
