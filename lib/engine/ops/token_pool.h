// One row an image of its tokens: N×T×D to N×D, float32 at every precision. Attribute: first (1: the
// first token, a class token; 0: the mean of all).
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct TokenPool {
  static constexpr const char* type = "token_pool";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  bool first = true;

  static TokenPool from(Attributes& attributes) { return {attributes.integer("first") != 0}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const TokenPool& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const TokenPool& op, LayerBuilder& builder);
}

}  // namespace hardmoe
