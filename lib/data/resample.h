// Images with rare tags shown more often than others. Not for evaluation, which counts each once.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace hardmoe {

enum class Sampling { natural, square_root, uniform };

/// `items` (empty: all images of the split) with copies: an image appears r times, the largest of
/// max(1, φ(t / f)) over its tags, where f is how many of `items` have the tag, t the mean of f
/// over tags, and φ the square root or (uniform) the identity. The rule is that of Mahajan et al.
/// 2018; the choice of t is ours. A fraction of r is a copy with that probability, by seed and
/// image. Natural: `items` as they are.
std::vector<int64_t> resampled(const Split& split, std::vector<int64_t> items, Sampling sampling,
                               uint64_t seed);

}  // namespace hardmoe
