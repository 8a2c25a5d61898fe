#include "engine/ops/route.h"

#include "base/error.h"
#include "engine/ops/routing.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Route::output(const std::string& name, InputTypes inputs) const {
  const ValueType& gates = inputs[0];
  if (gates.element != Element::float32 || gates.extent.positions() != 1 ||
      gates.rows.kind == RowKind::routed) {
    fail("operator '{}': routes by gates, a float32 for each expert of an image or a token", name);
  }
  const int64_t experts = gates.extent.channels;
  if (chosen < 1 || chosen > experts) {
    fail_usage("operator '{}': chooses {} of {} experts; expected 1 to {}", name, chosen, experts,
               experts);
  }
  return {{1, 1, RoutingLayout::elements_per_row(experts, chosen)}, Element::int32, gates.rows};
}

std::vector<ParameterSpec> Route::parameters(const std::string& name, InputTypes inputs) const {
  const int64_t experts = inputs[0].extent.channels;
  return {{name + ".usage",
           {experts},
           {InitialValues::Kind::constant, 1 / static_cast<float>(experts)},
           /*learned=*/false}};
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
