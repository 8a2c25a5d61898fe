// Batch normalisation (Ioffe & Szegedy 2015): normalises each channel over all positions of all
// images of the batch, y = [relu](norm(x) [+ residual]). ReLU and the residual, which is the second
// input, are there only after fusion (engine/graph.h). ε and momentum are PyTorch's defaults. A batch
// of a single position, which PyTorch refuses, keeps the running variance. If
// neither weight nor bias is trained, it normalises by the running statistics in training too, and
// does not change them (torchvision's FrozenBatchNorm2d).
#pragma once

#include "engine/ops/operator.h"

namespace hardmoe {

inline constexpr float batch_norm_epsilon = 1e-5F;
inline constexpr float batch_norm_momentum = 0.1F;  ///< running = 0.9 running + 0.1 batch

struct BatchNorm {
  static constexpr const char* type = "batch_norm";
  static constexpr size_t reads = 1;
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
