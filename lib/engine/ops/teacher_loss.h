// The loss (LossSpec::teacher in engine/spec.h) of a value of scores (N×V) against a teacher's, the
// second input, times its weight. As TagLoss it has no output, its forward step also computes the
// gradient of its first input, and it is listed in CompileOptions::losses.
#pragma once

#include "engine/ops/operator.h"
#include "engine/spec.h"

namespace hardmoe {

struct TeacherLoss {
  static constexpr const char* type = "teacher_loss";
  static constexpr size_t reads = 2;
  static constexpr bool keeps_channels = true;

  LossSpec spec;
  int number = 0;  ///< its index in CompileOptions::losses

  static TeacherLoss from(Attributes&) { return {}; }
  ValueType output(const std::string& name, InputTypes inputs) const;
  std::vector<ParameterSpec> parameters(const std::string&, InputTypes) const { return {}; }
  double flops(InputTypes) const { return 0; }
  void plan_forward(NodePlan& plan) const;
  void plan_backward(NodePlan& plan) const;
};

namespace cpu {
std::unique_ptr<Layer> make_layer(const TeacherLoss& op, LayerBuilder& builder);
}
namespace cuda {
std::unique_ptr<Layer> make_layer(const TeacherLoss& op, LayerBuilder& builder);
}

}  // namespace hardmoe
