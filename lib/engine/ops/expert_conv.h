// A convolution of each expert on its own rows, without bias: N×H×W×I to N×H'×W'×O; an expert
// computes only the rows it was given. Reads routed rows and their routing (engine/ops/routing.h).
// Attributes: experts, channels (O), kernel (K), stride, padding. Parameters: NAME.e.weight
// (O×I×K×K) of expert e.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct ExpertConv {
  static constexpr const char* type = "expert_conv";
  static constexpr size_t reads = 2;
  static constexpr bool keeps_channels = false;

  int64_t channels = 1;
  int64_t experts = 1;
  Window window;

  static ExpertConv from(Attributes& attributes) {
    return {attributes.size("channels"), attributes.size("experts"), Window::from(attributes)};
  }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes inputs) const;
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const ExpertConv& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const ExpertConv& op, LayerBuilder& builder);
}

}  // namespace hardmoe
