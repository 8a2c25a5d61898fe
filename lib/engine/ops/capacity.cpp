#include "engine/ops/capacity.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "engine/ops/gate_values.h"
#include "engine/plan.h"

namespace hardmoe {

Capacity Capacity::from(Attributes& attributes) {
  Capacity op;
  op.k = attributes.integer("k");
  op.factor = attributes.real("factor");
  const double priority = attributes.number("priority", 0), group = attributes.number("group", 1);
  if (priority != 0 && priority != 1 && priority != 2 && priority != 3) {
    fail("a capacity has priority {}, expected 0 to 3", priority);
  }
  if (group < 1 || group != std::floor(group) || group > 1e9) {
    fail("a capacity has groups of {} images, expected a whole number from 1", group);
  }
  op.priority = static_cast<int>(priority);
  op.group = static_cast<int64_t>(group);
  return op;
}

ValueType Capacity::output(const std::string& name, InputTypes inputs) const {
  if (!(factor > 0) || factor > 1e6) {
    fail("operator '{}': a capacity factor of {} leaves experts {}, expected more than 0", name,
         factor, factor > 0 ? "too much room to count" : "no room for a row");
  }
  ValueType result = require_gate(name, inputs[0]);
  const int64_t experts = result.extent.channels;
  require_choices(name, k, experts);
  const double rows = static_cast<double>(group) * result.rows.per_image;
  const int64_t room =
      experts * capacity_of(static_cast<int64_t>(rows), k, factor, static_cast<int>(experts));
  result.rows.room = std::min(1.0, static_cast<double>(room) / (rows * k));
  return result;
}

void Capacity::plan_forward(NodePlan& plan) const {
  Step step{"capacity", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.new_output();
  plan.add(step);
}

/// In place: gates that were kept pass their gradient on.
void Capacity::plan_backward(NodePlan& plan) const {
  Step step{"capacity", Pass::backward};
  step.dy = plan.gradient();
  step.y = plan.output();
  step.dx = {step.dy};
  plan.leave_gradient(0, step.dy);
  plan.add(step);
}

}  // namespace hardmoe
