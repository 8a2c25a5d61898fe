#include "engine/ops/scaled_noise.h"

#include "base/error.h"
#include "engine/ops/gate_values.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType ScaledNoise::output(const std::string& name, InputTypes inputs) const {
  if (inputs[0] != inputs[1]) {
    fail("operator '{}': values and the deviations of their noise have different shapes", name);
  }
  return require_gate(name, inputs[0]);
}

void ScaledNoise::plan_forward(NodePlan& plan) const {
  if (!plan.training()) {
    plan.share_input(0);
    return;
  }
  Step step{"noise", Pass::forward};
  step.x = {plan.input(0), plan.input(1)};
  step.y = plan.new_output();
  plan.add(step);
}

/// dσ = ε·dy, with the same ε drawn again; x gets dy itself.
void ScaledNoise::plan_backward(NodePlan& plan) const {
  if (plan.needs_gradient(1)) {
    Step step{"noise", Pass::backward};
    step.dy = plan.gradient();
    step.dx = {plan.new_gradient(1)};
    plan.add(step);
  }
  if (plan.needs_gradient(0)) plan.leave_gradient(0, plan.gradient());
}

}  // namespace hardmoe
