// A linear layer: y = W·x + b for each row. An H×W×C map is taken as one vector in PyTorch's order
// (all positions of the first channel first, as torch.flatten of N×C×H×W). Weights O×(C·H·W), bias
// O; the output is float32 at every precision, unless it is asked for in working precision, as the
// layers inside a transformer are. Attributes: channels (O); bias (if missing, 1: there is one);
// working (if missing, 0; 1: the output is in working precision); deviation (of normal initial
// weights, the bias then beginning at 0; if missing, both begin as torch.nn.Linear's do);
// initial_bias (all of the bias begins at it).
#pragma once

#include <optional>

#include "engine/ops/operator.h"

namespace hardmoe {

struct Linear {
  static constexpr const char* type = "linear";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = false;

  int64_t channels = 1;
  bool bias = true;
  bool working = false;
  std::optional<float> deviation = {};
  std::optional<float> initial_bias = {};

  static Linear from(Attributes& attributes);
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes inputs) const;
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Linear& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Linear& op, LayerBuilder& builder);
}

}  // namespace hardmoe
