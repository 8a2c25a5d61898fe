// The arithmetic of a trained network's answers, as embed.precision and eval.precision name it.
#pragma once

#include "base/config.h"
#include "engine/spec.h"

namespace hardmoe {

enum class InferencePrecision {
  training,  ///< that which the configuration trains such a network in
  fp32,
  tf32,
  bf16,
};

/// Adds the key `precision`.
void add_inference_precision(Fields& f, InferencePrecision& precision);

/// The precision that is meant, where `training` is that of the network's training.
Precision inference_precision(InferencePrecision asked, Precision training);

}  // namespace hardmoe
