// The images an expert may train on besides its part: those near it by the gater, or all others.
// Reads an embedding once, in pieces. Not for routing new images: see moe/gater.h.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/row_source.h"
#include "moe/partition.h"

namespace hardmoe {

/// Returns the images that are the expert's or have it among their `experts_an_image` nearest, by
/// d² + price, ascending. `embedding`: that the partition was made of, N×D.
std::vector<int64_t> overlapping_part(const Partition& partition, const RowSource& embedding,
                                      int64_t expert, int64_t experts_an_image);

/// The same for a partition at random, where nothing is near: an image's next experts are those
/// whose numbers follow its own's, round and round.
std::vector<int64_t> following_part(const Partition& partition, int64_t expert,
                                    int64_t experts_an_image);

/// Returns the images that are not among `part` (ascending), ascending. `images`: N.
std::vector<int64_t> outside_of(const std::vector<int64_t>& part, int64_t images);

/// Returns of the images `outside` (ascending) the `count` that are nearest to being the expert's:
/// whose d² + price there, less that of their own expert (Gater::score_of), is smallest, ascending;
/// among equals the first ones. Not for a partition at random, which has no distances.
std::vector<int64_t> nearest_of(const std::vector<int64_t>& outside, const Partition& partition,
                                const RowSource& embedding, int64_t expert, int64_t count);

}  // namespace hardmoe
