// log(1 + e^x) and its slope, for both engines.
#pragma once

#include <math.h>

#include "engine/both_engines.h"

namespace hardmoe {

/// Without overflow, and exact where e^x is small.
HARDMOE_BOTH_ENGINES float softplus(float x) {
  const float positive = x < 0 ? 0.0F : x;  // a NaN stays one
  return positive + log1pf(expf(-fabsf(x)));
}

HARDMOE_BOTH_ENGINES float sigmoid(float x) { return 1 / (1 + expf(-x)); }

}  // namespace hardmoe
