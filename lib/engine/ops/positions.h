// Adds to each token what tells its place: y = x + P, the same table P for every image, T×D. By
// default a learned one: the parameter NAME itself, 1×T×D as in timm (Dosovitskiy et al. 2021).
// Attributes: sincos (1: a fixed table instead: that of Beyer, Zhai & Kolesnikov 2022, "Better plain
// ViT baselines", with no parameter); for it height and width, the map whose positions the tokens
// are, row by row; class_tokens (tokens before those, to which nothing is added; if missing, 0).
#pragma once

#include <vector>

#include "engine/ops/operator.h"

namespace hardmoe {

struct Positions {
  static constexpr const char* type = "positions";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  bool sincos = false;
  int64_t height = 0, width = 0, class_tokens = 0;  ///< of a fixed table

  static Positions from(Attributes& attributes);
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string& name, InputTypes inputs) const;
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

/// Returns a fixed table, T×D in row-major order. A token at row y and column x has, with D/4
/// frequencies ω_i = 10000^(−i/(D/4 − 1)): sin(ω·x), cos(ω·x), sin(ω·y), cos(ω·y).
std::vector<float> sincos_table(const Positions& op, int64_t channels);

namespace cpu {
std::unique_ptr<Layer> make_layer(const Positions& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const Positions& op, LayerBuilder& builder);
}

}  // namespace hardmoe
