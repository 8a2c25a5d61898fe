#include "engine/ops/expert_linear.h"

#include <cmath>

#include "base/error.h"
#include "engine/ops/experts.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType ExpertLinear::output(const std::string& name, InputTypes inputs) const {
  require_routed_rows(name, inputs, experts);
  if (inputs[0].extent.positions() != 1) {
    fail("operator '{}': an expert's linear layer takes vectors", name);
  }
  return {{1, 1, channels}, Element::working, inputs[0].rows};
}

/// Uniform within 1/√fan_in, as torch.nn.Linear, where the attributes say nothing else.
std::vector<ParameterSpec> ExpertLinear::parameters(const std::string& name,
                                                    InputTypes inputs) const {
  const int64_t in = inputs[0].extent.channels;
  using Kind = InitialValues::Kind;
  const InitialValues uniform = {Kind::uniform, 1 / std::sqrt(static_cast<float>(in))};
  const InitialValues weights = deviation ? InitialValues{Kind::normal, *deviation} : uniform;
  const InitialValues biases = deviation ? InitialValues{} : uniform;
  std::vector<ParameterSpec> specs;
  const auto append = [&](int64_t expert, const char* suffix, const Shape& shape,
                          const InitialValues& start) {
    ParameterSpec spec{expert_name(name, expert) + suffix, shape, start};
    if (same_start && expert > 0) spec.begins_as = expert_name(name, 0) + suffix;
    specs.push_back(std::move(spec));
  };
  for (int64_t expert = 0; expert < experts; ++expert) {
    append(expert, ".weight", {channels, in}, weights);
    if (bias) append(expert, ".bias", {channels}, biases);
  }
  return specs;
}

double ExpertLinear::flops(InputTypes inputs) const {
  return 2.0 * inputs[0].rows.per_image * inputs[0].rows.room *
         static_cast<double>(channels * inputs[0].extent.channels);
}

void ExpertLinear::plan_forward(NodePlan& plan) const {
  Step step{"expert linear forward", Pass::forward};
  step.x = {plan.working_input(0), plan.input(1)};
  step.y = plan.new_output();
  plan.add(step);
}

void ExpertLinear::plan_backward(NodePlan& plan) const {
  const BufferId dy = plan.gradient();
  if (plan.trains()) {
    Step step{"expert linear backward weights", Pass::backward_weights};
    step.dy = dy;
    step.x = {plan.working_input(0), plan.input(1)};
    plan.add(step);
  }
  if (!plan.needs_gradient(0)) return;
  Step step{"expert linear backward data", Pass::backward_data};
  step.dy = plan.gradient();
  step.x = {plan.input(1)};
  step.dx = {plan.new_gradient(0)};
  plan.add(step);
}

}  // namespace hardmoe
