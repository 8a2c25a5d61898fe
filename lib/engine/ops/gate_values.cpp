#include "engine/ops/gate_values.h"

#include "base/error.h"

namespace hardmoe {

bool is_gate(const ValueType& type) {
  return type.element == Element::float32 && type.extent.positions() == 1 &&
         type.rows.kind != RowKind::routed;
}

ValueType require_gate(const std::string& name, const ValueType& type) {
  if (!is_gate(type)) {
    fail("operator '{}': takes a gate's values, a float32 vector for each image or token", name);
  }
  return type;
}

void require_choices(const std::string& name, int64_t k, int64_t experts) {
  if (k < 1 || k > experts) {
    fail("operator '{}': k is {}, expected 1 to {}, the number of experts", name, k, experts);
  }
}

}  // namespace hardmoe
