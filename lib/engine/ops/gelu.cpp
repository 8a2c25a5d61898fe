#include "engine/ops/gelu.h"

#include "engine/plan.h"

namespace hardmoe {

ValueType Gelu::output(const std::string&, InputTypes inputs) const { return inputs[0]; }

void Gelu::plan_forward(NodePlan& plan) const {
  Step step{"gelu", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.output_in_place_of(0);
  plan.add(step);
}

/// In place: dx = dy·(Φ(x) + x·φ(x)).
void Gelu::plan_backward(NodePlan& plan) const {
  Step step{"gelu", Pass::backward};
  step.dy = plan.gradient();
  step.x = {plan.input(0)};
  step.dx = {step.dy};
  plan.leave_gradient(0, step.dy);
  plan.add(step);
}

}  // namespace hardmoe
