// Fits the share of the base in a mixture's answer, a·base + (1−a)·expert.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "moe/mixture_config.h"
#include "train/score_rows.h"

namespace hardmoe {

/// Returns the a, in thousandths from 0 to 1, that makes the images' tags likeliest: the least mean
/// over images of the loss that the heads were trained by (softmax: the mean over an image's tags
/// of −log P; sigmoid: the sum over all tags of the binary cross-entropy), which is convex in a.
/// `logits`: n×2V, the base's and the expert's of each image. `tags_of`: a row's tags; rows without
/// any count nothing. 0 if no row has tags.
double fit_base_share(const ScoreRows& logits,
                      const std::function<std::span<const int32_t>(int64_t row)>& tags_of, Mix mix,
                      LossKind loss);

}  // namespace hardmoe
