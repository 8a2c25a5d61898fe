#include "engine/ops/bias.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Bias::output(const std::string& name, InputTypes inputs) const {
  if (inputs[0].element == Element::int32) {
    fail("operator '{}': a bias is added to floating numbers", name);
  }
  return inputs[0];
}

std::vector<ParameterSpec> Bias::parameters(const std::string& name, InputTypes inputs) const {
  return {{name + ".bias", {inputs[0].extent.channels}, {}}};
}

void Bias::plan_forward(NodePlan& plan) const {
  Step step{"bias", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.output_in_place_of(0);
  plan.add(step);
}

/// The input's gradient is the output's, the bias' its sum over positions.
void Bias::plan_backward(NodePlan& plan) const {
  const BufferId dy = plan.gradient();
  if (plan.trains()) {
    Step step{"bias", Pass::backward_weights};
    step.dy = dy;
    plan.add(step);
  }
  if (plan.needs_gradient(0)) plan.leave_gradient(0, dy);
}

}  // namespace hardmoe
