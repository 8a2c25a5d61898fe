// The loss load (engine/spec.h) of a gate, times its weight. Reads the logits without noise, the noisy
// ones and, unless the noise has a fixed deviation, σ; its forward step also computes the gradients of
// all of them. It has no output and is listed in CompileOptions::losses, as ops/tag_loss.h.
#pragma once

#include "engine/gate_balance.h"
#include "engine/ops/operator.h"
#include "engine/spec.h"

namespace hardmoe {

struct LoadLoss {
  static constexpr const char* type = "load_loss";
  static constexpr size_t reads = 2;
  static constexpr bool keeps_channels = true;

  LossSpec spec;
  int number = 0;  ///< its index in CompileOptions::losses

  static LoadLoss from(Attributes&) { return {}; }
  /// Returns what it computes of the first row of these arrays; `sigma` may be null.
  LoadRow first_row(const float* clean, const float* noisy, const float* sigma, int experts) const {
    return {clean, noisy, sigma, spec.deviation, spec.excluding, experts, spec.k};
  }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const LoadLoss& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const LoadLoss& op, LayerBuilder& builder);
}

}  // namespace hardmoe
