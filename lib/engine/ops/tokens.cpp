#include "engine/ops/tokens.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Tokens::output(const std::string& name, InputTypes inputs) const {
  ValueType result = inputs[0];
  if (result.rows.kind != RowKind::image) {
    fail("operator '{}': makes tokens of images' maps, its input has other rows", name);
  }
  result.rows = {RowKind::token, static_cast<double>(result.extent.positions())};
  result.extent = {1, 1, result.extent.channels};
  return result;
}

void Tokens::plan_forward(NodePlan& plan) const { plan.share_input(0); }

void Tokens::plan_backward(NodePlan& plan) const { plan.leave_gradient(0, plan.gradient()); }

}  // namespace hardmoe
