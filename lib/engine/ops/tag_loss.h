// The loss (engine/spec.h) of a value of scores (N×V) against the images' tags, times its weight.
// Its forward step also computes the gradient of its input. It has no output and is not for a
// network's list of operators: it is listed in CompileOptions::losses.
#pragma once

#include "engine/ops/operator.h"
#include "engine/spec.h"

namespace hardmoe {

struct TagLoss {
  static constexpr const char* type = "tag_loss";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  LossSpec spec;
  int number = 0;  ///< its index in CompileOptions::losses

  static TagLoss from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const TagLoss& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const TagLoss& op, LayerBuilder& builder);
}

}  // namespace hardmoe
