#include "engine/ops/conv.h"

#include <cmath>

#include "base/error.h"
#include "engine/ops/batch_norm.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Conv::output(const std::string& name, InputTypes inputs) const {
  ValueType result = inputs[0];
  if (result.element != Element::working) fail("operator '{}': a convolution takes a map", name);
  result.extent = window.output(name, result.extent, channels);
  return result;
}

/// He normal (fan out), as torchvision's ResNets begin, unless the attributes say otherwise.
std::vector<ParameterSpec> Conv::parameters(const std::string& name, InputTypes inputs) const {
  const auto fan_out = static_cast<double>(channels * window.kernel * window.kernel);
  const auto he = static_cast<float>(std::sqrt(2.0 / fan_out));
  std::vector<ParameterSpec> specs = {
      {name + ".weight",
       {channels, inputs[0].extent.channels, window.kernel, window.kernel},
       {InitialValues::Kind::normal, deviation.value_or(he)}}};
  if (!norm) return specs;
  const ValueType made = output(name, inputs);
  for (ParameterSpec& spec : BatchNorm{}.parameters(norm->name, {&made, 1})) {
    specs.push_back(std::move(spec));
  }
  return specs;
}

double Conv::flops(InputTypes inputs) const {
  const Extent& in = inputs[0].extent;
  const Extent out = window.output("", in, channels);
  return 2.0 * inputs[0].rows.per_image *
         static_cast<double>(out.elements() * in.channels * window.kernel * window.kernel);
}

void Conv::plan_forward(NodePlan& plan) const {
  Step step{"convolution forward", Pass::forward};
  step.x = {plan.input(0)};
  const bool adds = plan.inputs() > 1;
  if (adds) step.x.push_back(plan.input(1));
  step.y = adds ? plan.output_in_place_of(1) : plan.new_output();
  plan.add(step);
}

void Conv::plan_backward(NodePlan& plan) const {
  const BufferId dy = plan.gradient();
  if (plan.trains()) {
    Step step{"convolution backward weights", Pass::backward_weights};
    step.dy = dy;
    step.x = {plan.input(0)};
    plan.add(step);
  }
  if (!plan.needs_gradient(0)) return;
  Step step{"convolution backward data", Pass::backward_data};
  step.dy = plan.gradient();
  step.dx = {plan.new_gradient(0)};
  plan.add(step);
}

}  // namespace hardmoe
