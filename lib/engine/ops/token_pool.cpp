#include "engine/ops/token_pool.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType TokenPool::output(const std::string& name, InputTypes inputs) const {
  if (inputs[0].rows.kind != RowKind::token || inputs[0].element == Element::int32) {
    fail("operator '{}': pools tokens, its input is something else", name);
  }
  return {{1, 1, inputs[0].extent.channels}, Element::float32, {}};
}

void TokenPool::plan_forward(NodePlan& plan) const {
  Step step{"token pooling", Pass::forward};
  step.x = {plan.working_input(0)};
  step.y = plan.new_output();
  plan.add(step);
}

void TokenPool::plan_backward(NodePlan& plan) const {
  Step step{"token pooling", Pass::backward};
  step.dy = plan.gradient();
  step.dx = {plan.new_gradient(0)};
  plan.add(step);
}

}  // namespace hardmoe
