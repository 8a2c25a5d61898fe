#include "engine/ops/noise.h"

#include <cmath>

#include "base/error.h"
#include "engine/ops/gate_values.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Noise::output(const std::string& name, InputTypes inputs) const {
  if (!(deviation >= 0) || !std::isfinite(deviation)) {
    fail("operator '{}': the deviation of noise is {}, expected 0 or more", name, deviation);
  }
  return require_gate(name, inputs[0]);
}

void Noise::plan_forward(NodePlan& plan) const {
  if (!plan.training()) {
    plan.share_input(0);
    return;
  }
  Step step{"noise", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.new_output();
  plan.add(step);
}

void Noise::plan_backward(NodePlan& plan) const { plan.leave_gradient(0, plan.gradient()); }

}  // namespace hardmoe
