// What operators on experts' routed rows have in common.
#pragma once

#include <string>

#include "engine/ops/operator.h"
#include "nn/most_experts.h"

namespace hardmoe {

/// Throws Error naming the operator unless its first input are routed rows and its second their
/// routing, for that many experts.
void require_routed_rows(const std::string& name, InputTypes inputs, int64_t experts);

/// Returns "NAME.e", the prefix of an expert's parameters.
std::string expert_name(const std::string& name, int64_t expert);

}  // namespace hardmoe
