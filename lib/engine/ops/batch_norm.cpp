#include "engine/ops/batch_norm.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType BatchNorm::output(const std::string& name, InputTypes inputs) const {
  if (inputs[0].element != Element::working || inputs[0].rows.kind == RowKind::routed) {
    fail("operator '{}': a batch norm takes an activation of images or their tokens", name);
  }
  return inputs[0];
}

std::vector<ParameterSpec> BatchNorm::parameters(const std::string& name, InputTypes inputs) const {
  const Shape shape = {inputs[0].extent.channels};
  const InitialValues zero, one = {InitialValues::Kind::constant, 1};
  return {{name + ".weight", shape, one},
          {name + ".bias", shape, zero},
          {name + ".running_mean", shape, zero, /*learned=*/false},
          {name + ".running_var", shape, one, /*learned=*/false}};
}

void BatchNorm::plan_forward(NodePlan& plan) const {
  Step step{"norm forward", Pass::forward};
  step.x = {plan.input(0)};
  if (plan.inputs() > 1) step.x.push_back(plan.input(1));
  step.y = plan.output_in_place_of(0);
  step.saved = plan.saved();
  plan.add(step);
}

/// dy holds g, the gradient behind add and ReLU, afterwards where the residual needs that; else dx
/// takes its place. The ReLU's mask is found again from x, or where there was a residual from what
/// was saved or from y.
void BatchNorm::plan_backward(NodePlan& plan) const {
  const bool branches = plan.inputs() > 1;
  Step step{"norm backward", plan.trains() ? Pass::backward : Pass::backward_data};
  std::tie(step.dy, step.dy2) = plan.gradient_pieces();
  if (plan.trains()) step.x = {plan.input(0)};
  step.saved = plan.saved();
  const bool mask_from_y = plan.trains() ? branches && step.saved < 0 : true;
  if (relu && mask_from_y) step.y = plan.output();
  const bool differentiates = plan.trains() || plan.needs_gradient(0);
  if (differentiates) step.dx = {branches ? plan.new_gradient_buffer(0) : step.dy};
  if (plan.needs_gradient(0)) plan.leave_gradient(0, step.dx[0]);
  if (branches && plan.needs_gradient(1)) plan.leave_gradient(1, step.dy);
  plan.add(step);
}

}  // namespace hardmoe
