// A linear layer of each expert on its own rows: y = W_e·x + b_e for expert e's routed rows, in working
// precision; an expert computes only the rows it was given. Reads routed rows and their routing
// (engine/ops/routing.h). Attributes: channels (O), experts, bias (if missing, 1; 0: without),
// same_start (1: all experts begin with the same weights, as in V-MoE), deviation (initial weights are
// normal, biases 0; if missing, both are uniform). Parameters: of expert e,
// NAME.e.weight (O×I) and NAME.e.bias.
#pragma once

#include <optional>

#include "engine/ops/operator.h"

namespace hardmoe {

struct ExpertLinear {
  static constexpr const char* type = "expert_linear";
  static constexpr size_t reads = 2;
  static constexpr bool keeps_channels = false;

  int64_t channels = 1;
  int64_t experts = 1;
  bool bias = true;
  bool same_start = false;
  std::optional<float> deviation = {};

  static ExpertLinear from(Attributes& attributes) {
    return {attributes.size("channels"), attributes.size("experts"),
            attributes.number("bias", 1) != 0, attributes.number("same_start", 0) != 0,
            attributes.optional("deviation")};
  }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes inputs) const;
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const ExpertLinear& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const ExpertLinear& op, LayerBuilder& builder);
}

}  // namespace hardmoe
