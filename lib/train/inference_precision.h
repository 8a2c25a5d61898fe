// The precision in which a trained network answers: embed.precision and eval.precision.
#pragma once

#include "base/config.h"
#include "engine/spec.h"

namespace hardmoe {

/// The precisions to choose from.
enum class InferencePrecision {
  training,  ///< the one that the configuration trains such a network in
  fp32,
  tf32,
  bf16,
};

/// Adds the key `precision`.
void add_inference_precision(Fields& f, InferencePrecision& precision);

/// Returns the precision that `asked` means if the network is trained in `training`.
Precision inference_precision(InferencePrecision asked, Precision training);

}  // namespace hardmoe
