// A convolution without bias: N×H×W×I to N×H'×W'×O with weights O×I×K×K. Attributes: channels (O),
// kernel (K), stride, padding, deviation (of normal initial weights; if missing, He's). In inference it
// may have absorbed the batch norm behind it (engine/fold_norms.h), and then perhaps a ReLU and a
// residual, its second input, or a max pooling: y = [pool]([relu](scale·conv(x) + shift [+ residual])).
#pragma once

#include <optional>
#include <string>

#include "engine/ops/operator.h"

namespace hardmoe {

struct Conv {
  static constexpr const char* type = "conv";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = false;

  int64_t channels = 1;
  Window window;
  std::optional<float> deviation = {};
  /// A batch norm by running statistics.
  struct Norm {
    std::string name;  ///< of its parameters
    bool relu = false;
    std::optional<Window> pool = {};  ///< of a max pooling behind it, where there is no residual
  };
  std::optional<Norm> norm = {};  ///< set by fold_norms()

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
