// Copies of images with rare tags, so that they are shown more often. Not for evaluation, which
// counts each image once.
#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace hardmoe {

/// How often images with rare tags are repeated.
enum class Sampling { natural, square_root, uniform };

/// Returns `items` (empty: all images of the split) with repetitions: an image appears r times, the
/// largest of max(1, φ(t / f)) over its tags, where f is how many of `items` have the tag, t the
/// mean of f over tags, and φ the square root or (uniform) the identity. The rule is from Mahajan
/// et al. 2018; the choice of t is ours. The fraction of r is the probability of one more copy,
/// drawn by seed and image. With `natural`, returns `items` unchanged.
std::vector<int64_t> resampled(const Split& split, std::vector<int64_t> items, Sampling sampling,
                               uint64_t seed);

}  // namespace hardmoe
