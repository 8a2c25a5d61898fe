// Noise of a learned deviation on a gate's values (Shazeer et al. 2017, equation 4): in training
// x + ε·σ element by element, with ε ~ N(0, 1) of engine/gate_noise.h, in inference x itself. Reads x,
// then σ.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct ScaledNoise {
  static constexpr const char* type = "scaled_noise";
  static constexpr size_t reads = 2;
  static constexpr bool keeps_channels = true;

  static ScaledNoise from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const ScaledNoise& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const ScaledNoise& op, LayerBuilder& builder);
}

}  // namespace hardmoe
