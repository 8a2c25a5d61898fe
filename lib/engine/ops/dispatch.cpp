#include "engine/ops/dispatch.h"

#include "base/error.h"
#include "engine/ops/routing.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Dispatch::output(const std::string& name, InputTypes inputs) const {
  const ValueType& routing = inputs[1];
  ValueType result = inputs[0];
  if (result.element == Element::int32 || routing.element != Element::int32 ||
      result.rows.kind != routing.rows.kind || result.rows.per_image != routing.rows.per_image ||
      result.rows.kind == RowKind::routed) {
    fail("operator '{}': dispatches rows by a routing of the same rows", name);
  }
  const int64_t chosen = chosen_of(routing, experts);
  if (RoutingLayout::elements_per_row(experts, chosen) != routing.extent.channels || chosen < 1) {
    fail("operator '{}': the routing is not for {} experts", name, experts);
  }
  result.rows = {RowKind::routed, static_cast<double>(chosen) * result.rows.per_image,
                 routing.rows.room};
  return result;
}

void Dispatch::plan_forward(NodePlan& plan) const {
  Step step{"dispatch", Pass::forward};
  step.x = {plan.input(0), plan.input(1)};
  step.y = plan.new_output();
  plan.add(step);
}

void Dispatch::plan_backward(NodePlan& plan) const {
  if (!plan.needs_gradient(0)) return;
  Step step{"dispatch", Pass::backward};
  step.dy = plan.gradient();
  step.x = {plan.input(1)};
  step.dx = {plan.new_gradient(0)};
  plan.add(step);
}

}  // namespace hardmoe
