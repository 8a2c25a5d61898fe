#include "engine/ops/max_pool.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType MaxPool::output(const std::string& name, InputTypes inputs) const {
  ValueType result = inputs[0];
  if (result.element != Element::working) fail("operator '{}': a max pool takes a map", name);
  result.extent = window.output(name, result.extent, result.extent.channels);
  return result;
}

/// Keeps which element of each window won.
void MaxPool::plan_forward(NodePlan& plan) const {
  Step step{"pooling", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.new_output();
  step.saved = plan.saved();
  plan.add(step);
}

void MaxPool::plan_backward(NodePlan& plan) const {
  Step step{"pooling", Pass::backward};
  step.dy = plan.gradient();
  step.saved = plan.saved();
  step.dx = {plan.new_gradient(0)};
  plan.add(step);
}

}  // namespace hardmoe
