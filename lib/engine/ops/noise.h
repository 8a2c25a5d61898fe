// Noise of one deviation on a gate's values (Riquelme et al. 2021, §2.1): in training x + ε·deviation
// with ε ~ N(0, 1) of engine/gate_noise.h, in inference x itself. Attribute: deviation, 0 or more.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct Noise {
  static constexpr const char* type = "noise";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  float deviation = 1;

  static Noise from(Attributes& attributes) {
    return {static_cast<float>(attributes.real("deviation"))};
  }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Noise& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Noise& op, LayerBuilder& builder);
}

}  // namespace hardmoe
