#include "engine/ops/balance_loss.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType BalanceLoss::output(const std::string& name, InputTypes) const {
  fail("operator '{}': a loss is no part of a network, it stands in CompileOptions::losses", name);
}

/// With a weight of 0 it is only measured.
void BalanceLoss::plan_forward(NodePlan& plan) const {
  Step step{"loss", Pass::forward};
  step.x = {plan.input(0)};
  const bool trains = spec.weight != 0 && plan.needs_gradient(0);
  step.dx = {trains ? plan.new_gradient(0) : -1};
  plan.add(step);
}

/// The forward step has left the gradient.
void BalanceLoss::plan_backward(NodePlan&) const {}

}  // namespace hardmoe
