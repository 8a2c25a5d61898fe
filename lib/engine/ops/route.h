// Gives rows to experts: from gates (rows×E, zero for experts that were not chosen) to a routing
// (engine/ops/routing.h). Attribute: chosen, the most experts that a row has, k. In training it keeps
// the running share of the k·rows choices that each expert got, NAME.usage (E values): a sum that begins
// at 0 and weighs a step the less the longer ago it is. Divided by their own sum its values are the
// experts' shares; divided by 1 − 0.99ⁿ after n steps their sum is the share of choices that were kept.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Route {
  static constexpr const char* type = "route";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = false;
  /// usage = 0.99 usage + 0.01 the batch's share. In training a batch is as large as planned.
  static constexpr float usage_momentum = 0.01F;

  int64_t chosen = 1;  ///< k

  static Route from(Attributes& attributes) { return {attributes.size("chosen")}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Route& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Route& op, LayerBuilder& builder);
}

}  // namespace hardmoe
