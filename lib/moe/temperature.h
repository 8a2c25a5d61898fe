// Fits the temperature by which the experts nearest to an image are weighted: softmax(−d²/T).
#pragma once

#include <vector>

#include "moe/gater.h"

namespace hardmoe {

/// Returns the T that makes the images' tags likeliest, of a grid of 33 temperatures: the mean
/// squared distance of `choices` times 2^(−10), 2^(−9.5) … 2^6. An image's loss is the mean over
/// its tags of −log Σ_c w_c·p_c, with the weights w of gating_weights(choices, T); images without
/// tags count nothing. `likelihood`: N×n lists; list i·n + c is p_c, what the c-th choice of image
/// i gives each of its tags.
double fit_temperature(const ExpertChoices& choices,
                       const std::vector<std::vector<float>>& likelihood);

}  // namespace hardmoe
