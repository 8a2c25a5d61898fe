#include "engine/ops/global_avg_pool.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType GlobalAvgPool::output(const std::string& name, InputTypes inputs) const {
  if (inputs[0].rows.kind == RowKind::routed || inputs[0].element != Element::working) {
    fail("operator '{}': a global average pool takes an activation of images or their tokens",
         name);
  }
  return {{1, 1, inputs[0].extent.channels}, Element::float32, {}};
}

void GlobalAvgPool::plan_forward(NodePlan& plan) const {
  Step step{"pooling", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.new_output();
  plan.add(step);
}

void GlobalAvgPool::plan_backward(NodePlan& plan) const {
  Step step{"pooling", Pass::backward};
  step.dy = plan.gradient();
  step.dx = {plan.new_gradient(0)};
  plan.add(step);
}

}  // namespace hardmoe
