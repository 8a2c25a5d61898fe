#include "engine/ops/top_k.h"

#include "base/error.h"
#include "engine/ops/gate_values.h"
#include "engine/plan.h"

namespace hardmoe {

TopK TopK::from(Attributes& attributes) {
  TopK op;
  op.k = attributes.integer("k");
  op.softmax = attributes.number("softmax", 1) != 0;
  const double constraint = attributes.number("constraint", 0);
  if (constraint != 0 && constraint != 1 && constraint != 2) {
    fail("a top-k has constraint {}, expected 0 (none), 1 (relative) or 2 (mean)", constraint);
  }
  op.constraint = static_cast<Constraint>(static_cast<int>(constraint));
  const double usual = op.constraint == Constraint::relative ? 0.5 : 0.3;
  op.limit = static_cast<float>(attributes.number("limit", usual));
  return op;
}

ValueType TopK::output(const std::string& name, InputTypes inputs) const {
  require_choices(name, k, inputs[0].extent.channels);
  return require_gate(name, inputs[0]);
}

std::vector<ParameterSpec> TopK::parameters(const std::string& name, InputTypes inputs) const {
  if (constraint == Constraint::none) return {};
  return {{name + ".running", {inputs[0].extent.channels}, {}, /*learned=*/false},
          {name + ".steps", {1}, {}, /*learned=*/false}};
}

void TopK::plan_forward(NodePlan& plan) const {
  Step step{"top-k", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.new_output();
  plan.add(step);
}

/// In place. Who was chosen is seen from the output.
void TopK::plan_backward(NodePlan& plan) const {
  Step step{"top-k", Pass::backward};
  step.dy = plan.gradient();
  step.y = plan.output();
  step.dx = {step.dy};
  plan.leave_gradient(0, step.dy);
  plan.add(step);
}

}  // namespace hardmoe
