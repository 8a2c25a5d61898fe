// How well an embedding's neighbours agree: of each image the k nearest others by cosine, exact, and
// how many of them have its leaf tag. Also only among images of other experts, which tells whether
// experts share one space. Not an index for millions of images: all pairs are compared.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/matrix_view.h"
#include "data/dataset.h"

namespace hardmoe {

/// Returns each image's leaf tag: the rarest of its tags in the training split, which has the
/// greatest id; −1 for an image without any. `truth`: of its ground truth, not of its tags.
std::vector<int32_t> leaf_tags(const Split& split, bool truth);

/// Which images an image is compared with.
enum class Neighbours {
  all,              ///< all others
  of_other_experts  ///< those that another expert embeds
};

/// Means over the images that have a leaf tag which some image they are compared with has, too.
struct Retrieval {
  int64_t queries = 0;   ///< images in the means
  double precision = 0;  ///< share of the k nearest that have the image's leaf tag
  double recall = 0;     ///< share of the images with its leaf tag that are among the k nearest
  double hit = 0;        ///< share of images with at least one such among the k nearest
};

/// Returns the means for rows of features (N×D). `leaf`: N, −1: none. `experts`: N, for
/// of_other_experts. Equally near rows come in their order; a row of zeros is at right angles to
/// all. Throws Error unless the lengths agree.
Retrieval retrieval(MatrixView features, std::span<const int32_t> leaf, int64_t k,
                    Neighbours neighbours = Neighbours::all,
                    std::span<const uint16_t> experts = {});

}  // namespace hardmoe
