#include "engine/ops/softplus.h"

#include "engine/ops/gate_values.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Softplus::output(const std::string& name, InputTypes inputs) const {
  return require_gate(name, inputs[0]);
}

void Softplus::plan_forward(NodePlan& plan) const {
  Step step{"softplus", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.output_in_place_of(0);
  plan.add(step);
}

/// In place: dx = dy/(1 + e^−(x + shift)).
void Softplus::plan_backward(NodePlan& plan) const {
  Step step{"softplus", Pass::backward};
  step.dy = plan.gradient();
  step.x = {plan.input(0)};
  step.dx = {step.dy};
  plan.leave_gradient(0, step.dy);
  plan.add(step);
}

}  // namespace hardmoe
