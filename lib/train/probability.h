// Logits as probabilities, by the loss that the classifier head was trained with. Probabilities can
// be compared between images and between experts; logits cannot.
#pragma once

#include <filesystem>
#include <span>

#include "engine/spec.h"

namespace hardmoe {

/// Returns the loss that a finished base, expert or decoder was trained with, from model.yaml,
/// decoder.yaml or, for format 1, stage.json; softmax if the folder does not record it.
LossKind loss_of(const std::filesystem::path& folder);

/// Adds weight · P(tag j) to out[j]: softmax over the tags, or each tag's sigmoid. V values.
void add_probabilities(LossKind loss, std::span<const float> logits, float weight, float* out);

/// Computes out[j] = log P(tag j), which also distinguishes probabilities that round to 0 or 1.
void log_probabilities(LossKind loss, std::span<const float> logits, float* out);

}  // namespace hardmoe
