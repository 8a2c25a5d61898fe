#include "engine/ops/teacher_loss.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType TeacherLoss::output(const std::string& name, InputTypes) const {
  fail("operator '{}': a loss is no part of a network, it stands in CompileOptions::losses", name);
}

void TeacherLoss::plan_forward(NodePlan& plan) const {
  Step step{"loss", Pass::forward};
  step.x = {plan.input(0), plan.input(1)};
  step.dx = {plan.new_gradient_buffer(0)};
  if (plan.needs_gradient(0)) plan.leave_gradient(0, step.dx[0]);
  plan.add(step);
}

/// The forward step has left the gradient.
void TeacherLoss::plan_backward(NodePlan&) const {}

}  // namespace hardmoe
