// The balance losses of a network's layers of experts, as a program computes them.
#pragma once

#include <vector>

#include "engine/spec.h"
#include "nn/sparse.h"

namespace hardmoe {

/// Returns the losses, for CompileOptions::losses.
std::vector<LossSpec> balance_specs(const std::vector<GateLoss>& losses);

}  // namespace hardmoe
