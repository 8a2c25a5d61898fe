#include "engine/ops/add.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Add::output(const std::string& name, InputTypes inputs) const {
  if (inputs.size() != 2) fail("operator '{}': adds two values, found {}", name, inputs.size());
  if (inputs[0] != inputs[1]) fail("operator '{}': adding activations of different shapes", name);
  return inputs[0];
}

void Add::plan_forward(NodePlan& plan) const {
  Step step{"add", Pass::forward};
  step.x = {plan.input(0), plan.input(1)};
  step.y = plan.new_output();
  plan.add(step);
}

/// Both inputs get the gradient as it is: one the buffer itself, the other a copy.
void Add::plan_backward(NodePlan& plan) const {
  const bool both = plan.needs_gradient(0) && plan.needs_gradient(1);
  const BufferId dy = plan.gradient();
  if (both) {
    Step step{"add", Pass::backward};
    step.dy = dy;
    step.dx = {plan.new_gradient(1)};
    plan.add(step);
  }
  plan.leave_gradient(plan.needs_gradient(0) ? 0 : 1, dy);
}

}  // namespace hardmoe
