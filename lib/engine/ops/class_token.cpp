#include "engine/ops/class_token.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType ClassToken::output(const std::string& name, InputTypes inputs) const {
  ValueType result = inputs[0];
  if (result.rows.kind != RowKind::token || result.element == Element::int32) {
    fail("operator '{}': a class token joins tokens, its input has other rows", name);
  }
  result.rows.per_image += 1;
  return result;
}

/// Normal with a deviation of 10⁻⁶, as timm's.
std::vector<ParameterSpec> ClassToken::parameters(const std::string& name,
                                                  InputTypes inputs) const {
  return {{name, {1, 1, inputs[0].extent.channels}, {InitialValues::Kind::normal, 1e-6F}}};
}

void ClassToken::plan_forward(NodePlan& plan) const {
  Step step{"class token", Pass::forward};
  step.x = {plan.input(0)};
  step.y = plan.new_output();
  plan.add(step);
}

void ClassToken::plan_backward(NodePlan& plan) const {
  Step step{"class token", Pass::backward};
  step.dy = plan.gradient();
  if (plan.needs_gradient(0)) step.dx = {plan.new_gradient(0)};
  plan.add(step);
}

}  // namespace hardmoe
