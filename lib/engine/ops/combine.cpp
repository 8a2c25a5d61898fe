#include "engine/ops/combine.h"

#include "base/error.h"
#include "engine/ops/routing.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Combine::output(const std::string& name, InputTypes inputs) const {
  const ValueType &gates = inputs[1], &routing = inputs[2];
  ValueType result = inputs[0];
  if (result.rows.kind != RowKind::routed || result.element == Element::int32 ||
      gates.element != Element::float32 || routing.element != Element::int32 ||
      gates.rows != routing.rows) {
    fail("operator '{}': combines routed rows by gates and their routing", name);
  }
  const int64_t experts = gates.extent.channels, chosen = chosen_of(routing, experts);
  if (RoutingLayout::elements_per_row(experts, chosen) != routing.extent.channels ||
      result.rows.per_image != static_cast<double>(chosen) * gates.rows.per_image) {
    fail("operator '{}': the routing is not that of its {} experts' rows", name, experts);
  }
  result.rows = {gates.rows.kind, gates.rows.per_image};
  return result;
}

double Combine::flops(InputTypes inputs) const {
  return 2 * inputs[0].elements_per_image() * inputs[0].rows.room;
}

void Combine::plan_forward(NodePlan& plan) const {
  Step step{"combine", Pass::forward};
  step.x = {plan.input(0), plan.input(1), plan.input(2)};
  step.y = plan.new_output();
  plan.add(step);
}

/// Gradients of the routed rows and of the gates, in this order, where they are needed.
void Combine::plan_backward(NodePlan& plan) const {
  Step step{"combine", Pass::backward};
  step.dy = plan.gradient();
  step.x = {plan.input(0), plan.input(1), plan.input(2)};
  step.dx = {plan.needs_gradient(0) ? plan.new_gradient(0) : -1,
             plan.needs_gradient(1) ? plan.new_gradient(1) : -1};
  plan.add(step);
}

}  // namespace hardmoe
