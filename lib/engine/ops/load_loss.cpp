#include "engine/ops/load_loss.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType LoadLoss::output(const std::string& name, InputTypes) const {
  fail("operator '{}': a loss is no part of a network, it stands in CompileOptions::losses", name);
}

/// With a weight of 0 it is only measured.
void LoadLoss::plan_forward(NodePlan& plan) const {
  Step step{"loss", Pass::forward};
  for (size_t i = 0; i < plan.inputs(); ++i) {
    step.x.push_back(plan.input(i));
    const bool trains = spec.weight != 0 && plan.needs_gradient(i);
    step.dx.push_back(trains ? plan.new_gradient(i) : -1);
  }
  plan.add(step);
}

/// The forward step has left the gradient.
void LoadLoss::plan_backward(NodePlan&) const {}

}  // namespace hardmoe
