#include "engine/ops/attention.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Attention::output(const std::string& name, InputTypes inputs) const {
  ValueType result = inputs[0];
  const int64_t channels = result.extent.channels;
  if (result.rows.kind != RowKind::token || result.element == Element::int32) {
    fail("operator '{}': attention is among tokens, its input has other rows", name);
  }
  if (heads < 1 || channels % (3 * heads) != 0) {
    fail_usage("operator '{}': {} channels are no queries, keys and values of {} equal heads", name,
               channels, heads);
  }
  constexpr int64_t widest = 128;  // that the kernels of a GPU have room for
  if (channels / (3 * heads) > widest) {
    fail_usage("operator '{}': heads of {} channels, at most {} are supported: use more heads",
               name, channels / (3 * heads), widest);
  }
  result.extent.channels = channels / 3;
  result.element = Element::working;
  return result;
}

/// Q·Kᵀ and the product with V.
double Attention::flops(InputTypes inputs) const {
  const double tokens = inputs[0].rows.per_image;
  const int64_t channels = inputs[0].extent.channels / 3;
  return 4 * tokens * tokens * static_cast<double>(channels);
}

/// May keep a number for each token and head, from which the backward pass finds the weights again.
void Attention::plan_forward(NodePlan& plan) const {
  Step step{"attention", Pass::forward};
  step.x = {plan.working_input(0)};
  step.y = plan.new_output();
  step.saved = plan.saved();
  plan.add(step);
}

void Attention::plan_backward(NodePlan& plan) const {
  Step step{"attention", Pass::backward};
  step.dy = plan.gradient();
  step.x = {plan.working_input(0)};
  step.y = plan.output();
  step.saved = plan.saved();
  step.dx = {plan.new_gradient(0)};
  plan.add(step);
}

}  // namespace hardmoe
