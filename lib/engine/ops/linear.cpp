#include "engine/ops/linear.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

Linear Linear::from(Attributes& attributes) {
  Linear op{attributes.size("channels")};
  op.bias = attributes.number("bias", 1) != 0;
  op.working = attributes.number("working", 0) != 0;
  op.deviation = attributes.optional("deviation");
  op.initial_bias = attributes.optional("initial_bias");
  return op;
}

ValueType Linear::output(const std::string& name, InputTypes inputs) const {
  if (inputs[0].element == Element::int32) {
    fail("operator '{}': a linear layer takes floating numbers", name);
  }
  return {{1, 1, channels}, working ? Element::working : Element::float32, inputs[0].rows};
}

/// Uniform within 1/√fan_in, as torch.nn.Linear, where the attributes say nothing else.
std::vector<ParameterSpec> Linear::parameters(const std::string& name, InputTypes inputs) const {
  using Kind = InitialValues::Kind;
  const int64_t in = inputs[0].extent.elements();
  const InitialValues uniform = {Kind::uniform, 1 / std::sqrt(static_cast<float>(in))};
  const InitialValues weights = deviation ? InitialValues{Kind::normal, *deviation} : uniform;
  std::vector<ParameterSpec> specs = {{name + ".weight", {channels, in}, weights}};
  if (!bias) return specs;
  const InitialValues constant = {Kind::constant, initial_bias.value_or(0)};
  specs.push_back({name + ".bias", {channels}, deviation || initial_bias ? constant : uniform});
  return specs;
}

double Linear::flops(InputTypes inputs) const {
  return 2.0 * inputs[0].rows.per_image *
         static_cast<double>(channels * inputs[0].extent.elements());
}

void Linear::plan_forward(NodePlan& plan) const {
  Step step{"linear", Pass::forward};
  step.x = {plan.working_input(0)};
  step.y = plan.new_output();
  plan.add(step);
}

void Linear::plan_backward(NodePlan& plan) const {
  const BufferId dy = plan.gradient();
  if (plan.trains()) {
    Step step{"linear", Pass::backward_weights};
    step.dy = dy;
    step.x = {plan.working_input(0)};
    plan.add(step);
  }
  if (!plan.needs_gradient(0)) return;
  Step step{"linear", Pass::backward_data};
  step.dy = plan.gradient();
  step.dx = {plan.new_gradient(0)};
  plan.add(step);
}

}  // namespace hardmoe
