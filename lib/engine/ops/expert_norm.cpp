#include "engine/ops/expert_norm.h"

#include <tuple>

#include "base/error.h"
#include "engine/ops/experts.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType ExpertNorm::output(const std::string& name, InputTypes inputs) const {
  require_routed_rows(name, inputs, experts);
  if (inputs[0].element != Element::working) {
    fail("operator '{}': a batch norm takes an activation", name);
  }
  return inputs[0];
}

std::vector<ParameterSpec> ExpertNorm::parameters(const std::string& name,
                                                  InputTypes inputs) const {
  const Shape shape = {inputs[0].extent.channels};
  const InitialValues zero, one = {InitialValues::Kind::constant, 1};
  std::vector<ParameterSpec> specs;
  for (int64_t expert = 0; expert < experts; ++expert) {
    const std::string prefix = expert_name(name, expert);
    specs.push_back({prefix + ".weight", shape, one});
    specs.push_back({prefix + ".bias", shape, zero});
    specs.push_back({prefix + ".running_mean", shape, zero, /*learned=*/false});
    specs.push_back({prefix + ".running_var", shape, one, /*learned=*/false});
  }
  return specs;
}

void ExpertNorm::plan_forward(NodePlan& plan) const {
  Step step{"expert norm forward", Pass::forward};
  step.x = {plan.input(0), plan.input(1)};
  if (plan.inputs() > reads) step.x.push_back(plan.input(reads));
  step.y = plan.output_in_place_of(0);
  step.saved = plan.saved();
  plan.add(step);
}

/// Buffers as BatchNorm's; the routing is kept too.
void ExpertNorm::plan_backward(NodePlan& plan) const {
  const bool branches = plan.inputs() > reads;
  Step step{"expert norm backward", plan.trains() ? Pass::backward : Pass::backward_data};
  std::tie(step.dy, step.dy2) = plan.gradient_pieces();
  step.x = {plan.input(1)};
  if (plan.trains()) step.x.push_back(plan.input(0));
  step.saved = plan.saved();
  if (relu && (branches || !plan.trains())) step.y = plan.output();
  const bool differentiates = plan.trains() || plan.needs_gradient(0);
  if (differentiates) step.dx = {branches ? plan.new_gradient_buffer(0) : step.dy};
  if (plan.needs_gradient(0)) plan.leave_gradient(0, step.dx[0]);
  if (branches && plan.needs_gradient(reads)) plan.leave_gradient(reads, step.dy);
  plan.add(step);
}

}  // namespace hardmoe
