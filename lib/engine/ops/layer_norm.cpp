#include "engine/ops/layer_norm.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType LayerNorm::output(const std::string& name, InputTypes inputs) const {
  if (inputs[0].element == Element::int32) {
    fail("operator '{}': a layer norm takes floating numbers", name);
  }
  return inputs[0];
}

std::vector<ParameterSpec> LayerNorm::parameters(const std::string& name, InputTypes inputs) const {
  const Shape shape = {inputs[0].extent.channels};
  return {{name + ".weight", shape, {InitialValues::Kind::constant, 1}},
          {name + ".bias", shape, {}}};
}

/// Keeps the mean and the inverse deviation of every position.
void LayerNorm::plan_forward(NodePlan& plan) const {
  Step step{"layer norm", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.output_in_place_of(0);
  step.saved = plan.saved();
  plan.add(step);
}

/// In place: dx takes the place of dy.
void LayerNorm::plan_backward(NodePlan& plan) const {
  Step step{"layer norm", Pass::backward};
  step.dy = plan.gradient();
  step.x = {plan.input(0)};
  step.saved = plan.saved();
  if (plan.needs_gradient(0)) {
    step.dx = {step.dy};
    plan.leave_gradient(0, step.dy);
  }
  plan.add(step);
}

}  // namespace hardmoe
