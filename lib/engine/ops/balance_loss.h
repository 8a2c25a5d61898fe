// The losses importance and divergence (engine/spec.h) of gates, times their weight: what differs from
// equal sums of the experts' gates over all rows of the batch. Its forward step also computes the
// gradient of the gates. It has no output and is listed in CompileOptions::losses, as ops/tag_loss.h.
#pragma once

#include "engine/gate_balance.h"
#include "engine/ops/operator.h"
#include "engine/spec.h"

namespace hardmoe {

struct BalanceLoss {
  static constexpr const char* type = "balance_loss";
  static constexpr size_t reads = 1;
  static constexpr bool keeps_channels = true;

  LossSpec spec;
  int number = 0;  ///< its index in CompileOptions::losses

  static BalanceLoss from(Attributes&) { return {}; }
  /// Returns what it computes of rows×experts gates.
  Balance balance(int64_t rows, int64_t experts) const {
    return {spec.kind == LossKind::divergence, spec.ddof, double{spec.weight},
            static_cast<int>(experts), rows};
  }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const BalanceLoss& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const BalanceLoss& op, LayerBuilder& builder);
}

}  // namespace hardmoe
