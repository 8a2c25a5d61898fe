#include "engine/ops/expert_conv.h"

#include <cmath>

#include "base/error.h"
#include "engine/ops/experts.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType ExpertConv::output(const std::string& name, InputTypes inputs) const {
  require_routed_rows(name, inputs, experts);
  ValueType result = inputs[0];
  if (result.element != Element::working) fail("operator '{}': a convolution takes a map", name);
  result.extent = window.output(name, result.extent, channels);
  return result;
}

/// He normal (fan out), as ops/conv.cpp.
std::vector<ParameterSpec> ExpertConv::parameters(const std::string& name,
                                                  InputTypes inputs) const {
  const auto fan_out = static_cast<double>(channels * window.kernel * window.kernel);
  const auto deviation = static_cast<float>(std::sqrt(2.0 / fan_out));
  std::vector<ParameterSpec> specs;
  for (int64_t expert = 0; expert < experts; ++expert) {
    specs.push_back({expert_name(name, expert) + ".weight",
                     {channels, inputs[0].extent.channels, window.kernel, window.kernel},
                     {InitialValues::Kind::normal, deviation}});
  }
  return specs;
}

double ExpertConv::flops(InputTypes inputs) const {
  const Extent& in = inputs[0].extent;
  const Extent out = window.output("", in, channels);
  return 2.0 * inputs[0].rows.per_image * inputs[0].rows.room *
         static_cast<double>(out.elements() * in.channels * window.kernel * window.kernel);
}

void ExpertConv::plan_forward(NodePlan& plan) const {
  Step step{"expert convolution forward", Pass::forward};
  step.x = {plan.input(0), plan.input(1)};
  step.y = plan.new_output();
  plan.add(step);
}

void ExpertConv::plan_backward(NodePlan& plan) const {
  const BufferId dy = plan.gradient();
  if (plan.trains()) {
    Step step{"expert convolution backward weights", Pass::backward_weights};
    step.dy = dy;
    step.x = {plan.input(0), plan.input(1)};
    plan.add(step);
  }
  if (!plan.needs_gradient(0)) return;
  Step step{"expert convolution backward data", Pass::backward_data};
  step.dy = plan.gradient();
  step.x = {plan.input(1)};
  step.dx = {plan.new_gradient(0)};
  plan.add(step);
}

}  // namespace hardmoe
