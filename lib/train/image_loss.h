// The loss of a network on one image, as training has it. For choices between networks; not for
// results: see train/metrics.h.
#pragma once

#include <cstdint>
#include <span>

#include "engine/spec.h"

namespace hardmoe {

/// Returns the loss of one image's V logits against its tags (ascending ids), in double precision,
/// without label smoothing. softmax: −(1/k) Σ log p over its k tags, 0 without tags; sigmoid:
/// Σ_j log(1+e^z_j) − Σ z over its tags.
double image_loss(LossKind loss, std::span<const float> logits, std::span<const int32_t> tags);

}  // namespace hardmoe
