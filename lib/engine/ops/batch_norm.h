// Batch normalisation (Ioffe & Szegedy 2015) over all positions of all images of the batch, for
// each channel: y = [relu](norm(x) [+ residual]); the second input, if there is one, is the
// residual. ε is 1e-5, and running statistics move by a tenth of the way a step, as in PyTorch.
// Where neither weight nor bias is trained it uses the running statistics in training, too, and
// leaves them as they are (torchvision's FrozenBatchNorm2d).
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

inline constexpr float batch_norm_epsilon = 1e-5F;
inline constexpr float batch_norm_momentum = 0.1F;  ///< running = 0.9 running + 0.1 batch

struct BatchNorm {
  static constexpr const char* type = "batch_norm";
  static constexpr bool keeps_channels = true;

  bool relu = false;  ///< set by fusion (engine/graph.h)

  static BatchNorm from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const BatchNorm& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const BatchNorm& op, LayerBuilder& builder);
}

}  // namespace hardmoe
