// Sums what a row's experts made of it, each times its gate: from routed rows y, gates g (rows×E) and
// the routing (engine/ops/routing.h) to Σ_e g_e·y_e for each row, over its experts (Shazeer et al.
// 2017, equation 1); zero for a row without experts.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Combine {
  static constexpr const char* type = "combine";
  static constexpr size_t reads = 3;
  static constexpr bool multiplies_inputs = true;  ///< both factors of its products are inputs
  static constexpr bool keeps_channels = true;

  static Combine from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes inputs) const;
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Combine& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Combine& op, LayerBuilder& builder);
}

}  // namespace hardmoe
