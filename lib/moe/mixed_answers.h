// Several networks' answers for one image as one: a weighted mean of logarithms of probabilities
// (geometric) or of probabilities (arithmetic).
//
// A mean of log-softmaxes is, up to a constant, a mean of logits, and a mean of log-odds is one of
// a sigmoid's logits: so a geometric sum is kept as logits, and normalised like those of one head.
#pragma once

#include <span>

#include "engine/spec.h"
#include "moe/mixture_config.h"

namespace hardmoe {

/// Adds weight · logits (geometric) or weight · probabilities (arithmetic) to out; V values.
void add_answer(Mix mix, LossKind loss, std::span<const float> logits, float weight, float* out);

/// Makes scores that compare between images of a sum whose weights add up to 1: the geometric
/// mean's log probabilities, V values; an arithmetic mean is left as it is.
void normalise_answer(Mix mix, LossKind loss, std::span<float> sum);

/// Turns probabilities into logits that have them: logarithms, or log-odds for sigmoid. Those below
/// 1e-30, and for sigmoid above 1 − 1e-7, count as that.
void to_logits(LossKind loss, std::span<float> probabilities);

}  // namespace hardmoe
