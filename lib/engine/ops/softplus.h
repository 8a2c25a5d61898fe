// log(1 + exp(x + shift)) + floor, element by element, float32: the deviation of a gate's noise.
// Attributes: shift, added inside (Pavlitska et al. 2022: 0.01; if missing, 0), floor, added outside
// (Shazeer et al. 2017, in their code: 0.01; if missing, 0).
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Softplus {
  static constexpr const char* type = "softplus";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  float shift = 0;
  float floor = 0;

  static Softplus from(Attributes& attributes) {
    return {static_cast<float>(attributes.number("shift", 0)),
            static_cast<float>(attributes.number("floor", 0))};
  }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Softplus& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Softplus& op, LayerBuilder& builder);
}

}  // namespace hardmoe
