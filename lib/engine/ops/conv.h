// A convolution without bias: N×H×W×I to N×H'×W'×O with weights O×I×K×K. Attributes: channels (O),
// kernel (K), stride, padding, deviation (of normal initial weights; if missing, He's).
#pragma once

#include <optional>

#include "engine/ops/operator.h"

namespace hardmoe {

struct Conv {
  static constexpr const char* type = "conv";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = false;

  int64_t channels = 1;
  Window window;
  std::optional<float> deviation = {};

  static Conv from(Attributes& attributes) {
    return {attributes.size("channels"), Window::from(attributes),
            attributes.optional("deviation")};
  }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes inputs) const;
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const Conv& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Conv& op, LayerBuilder& builder);
}

}  // namespace hardmoe
