#include "engine/ops/softmax.h"

#include "engine/ops/gate_values.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Softmax::output(const std::string& name, InputTypes inputs) const {
  return require_gate(name, inputs[0]);
}

void Softmax::plan_forward(NodePlan& plan) const {
  Step step{"softmax", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.output_in_place_of(0);
  plan.add(step);
}

/// In place: dx = y·(dy − Σ y·dy).
void Softmax::plan_backward(NodePlan& plan) const {
  Step step{"softmax", Pass::backward};
  step.dy = plan.gradient();
  step.y = plan.output();
  step.dx = {step.dy};
  plan.leave_gradient(0, step.dy);
  plan.add(step);
}

}  // namespace hardmoe
