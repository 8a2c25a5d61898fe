#include "engine/ops/route.h"

#include "engine/ops/gate_values.h"
#include "engine/ops/routing.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Route::output(const std::string& name, InputTypes inputs) const {
  const ValueType gates = require_gate(name, inputs[0]);
  const int64_t experts = gates.extent.channels;
  require_choices(name, chosen, experts);
  return {{1, 1, RoutingLayout::elements_per_row(experts, chosen)}, Element::int32, gates.rows};
}

std::vector<ParameterSpec> Route::parameters(const std::string& name, InputTypes inputs) const {
  const int64_t experts = inputs[0].extent.channels;
  return {{name + ".usage", {experts}, {}, /*learned=*/false}};
}

void Route::plan_forward(NodePlan& plan) const {
  Step step{"route", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.new_output();
  plan.add(step);
}

/// Numbers of rows have no gradient.
void Route::plan_backward(NodePlan&) const {}

}  // namespace hardmoe
