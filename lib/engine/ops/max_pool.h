// Max pooling: the largest value of each window, for each channel; padding counts as −∞. Of equal
// values the first in row-major order gets the gradient. Attributes: kernel, stride, padding.
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

struct MaxPool {
  static constexpr const char* type = "max_pool";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  Window window;

  static MaxPool from(Attributes& attributes) { return {Window::from(attributes)}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const MaxPool& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const MaxPool& op, LayerBuilder& builder);
}

}  // namespace hardmoe
