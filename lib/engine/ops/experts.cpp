#include "engine/ops/experts.h"

#include "base/error.h"
#include "engine/ops/routing.h"

namespace hardmoe {

void require_routed_rows(const std::string& name, InputTypes inputs, int64_t experts) {
  const ValueType &x = inputs[0], &routing = inputs[1];
  if (experts < 1 || experts > most_experts) {
    fail_usage("operator '{}': expected 1 to {} experts, found {}", name, most_experts, experts);
  }
  const int64_t chosen = chosen_of(routing, experts);
  if (x.rows.kind != RowKind::routed || routing.element != Element::int32 || chosen < 1 ||
      RoutingLayout::elements_per_row(experts, chosen) != routing.extent.channels ||
      x.rows.per_image != static_cast<double>(chosen) * routing.rows.per_image) {
    fail("operator '{}': takes rows routed to {} experts, and their routing", name, experts);
  }
}

std::string expert_name(const std::string& name, int64_t expert) {
  return name + '.' + std::to_string(expert);
}

}  // namespace hardmoe
