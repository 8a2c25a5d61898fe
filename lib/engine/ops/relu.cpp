#include "engine/ops/relu.h"

#include "engine/plan.h"

namespace hardmoe {

ValueType Relu::output(const std::string&, InputTypes inputs) const { return inputs[0]; }

void Relu::plan_forward(NodePlan& plan) const {
  Step step{"relu", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.output_in_place_of(0);
  plan.add(step);
}

/// In place: dx where y > 0, else 0.
void Relu::plan_backward(NodePlan& plan) const {
  Step step{"relu", Pass::backward};
  step.dy = plan.gradient();
  step.y = plan.output();
  step.dx = {step.dy};
  plan.leave_gradient(0, step.dy);
  plan.add(step);
}

}  // namespace hardmoe
