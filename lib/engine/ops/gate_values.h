// What operators on a gate's values have in common.
#pragma once

#include <string>

#include "engine/value_type.h"

namespace hardmoe {

/// Returns whether a type is a gate's: float32, a vector for each image or token, with a number for
/// each expert.
bool is_gate(const ValueType& type);

/// Returns the type. Throws Error naming the operator unless it is a gate's.
ValueType require_gate(const std::string& name, const ValueType& type);

/// Throws Error naming the operator unless 1 ≤ k ≤ experts.
void require_choices(const std::string& name, int64_t k, int64_t experts);

}  // namespace hardmoe
