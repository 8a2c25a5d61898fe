// Batch normalisation of each expert over its own rows (engine/ops/batch_norm.h has the formulas):
// each expert has its own weight, bias and statistics. Reads routed rows and their routing
// (engine/ops/routing.h), and after fusion a residual. Attribute: experts. Parameters: of expert e,
// NAME.e.weight, .bias, .running_mean, .running_var (C each). In training an expert that got no row
// keeps its running statistics, and gradients of zero; one that got a single position normalises it to
// its bias and keeps its running variance, of which one position says nothing.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct ExpertNorm {
  static constexpr const char* type = "expert_norm";
  static constexpr size_t reads = 2;
  static constexpr bool keeps_channels = true;

  int64_t experts = 1;
  bool relu = false;  ///< set by fusion (engine/graph.h)

  static ExpertNorm from(Attributes& attributes) { return {attributes.size("experts")}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const ExpertNorm& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const ExpertNorm& op, LayerBuilder& builder);
}

}  // namespace hardmoe
