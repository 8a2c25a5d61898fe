#include "engine/ops/tokens.h"

#include "base/error.h"
#include "engine/plan.h"

namespace hardmoe {

ValueType Tokens::output(const std::string& name, InputTypes inputs) const {
  ValueType type = inputs[0];
  if (type.rows.kind != RowKind::image) {
    fail("operator '{}': makes tokens of images' maps, its input has other rows", name);
  }
  type.rows = {RowKind::token, static_cast<double>(type.extent.positions())};
  type.extent = {1, 1, type.extent.channels};
  return type;
}

void Tokens::plan_forward(NodePlan& plan) const { plan.share_input(0); }

void Tokens::plan_backward(NodePlan& plan) const { plan.leave_gradient(0, plan.gradient()); }

}  // namespace hardmoe
