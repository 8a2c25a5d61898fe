// A network's scores of one image as probabilities, by the loss its last layer was trained with:
// what may be compared between images and between experts, as the scores themselves may not.
#pragma once

#include <filesystem>
#include <span>

#include "engine/spec.h"

namespace hardmoe {

/// The loss that a finished base, expert or decoder was trained with, as model.yaml, decoder.yaml or
/// (of format 1) stage.json says; softmax where the folder does not say.
LossKind loss_of(const std::filesystem::path& folder);

/// out[j] += weight · P(tag j): softmax over the tags, or each tag's sigmoid.
void add_probabilities(LossKind loss, std::span<const float> logits, float weight, float* out);

/// out[j] = log P(tag j), which tells apart what rounds to 0 or 1.
void log_probabilities(LossKind loss, std::span<const float> logits, float* out);

}  // namespace hardmoe
