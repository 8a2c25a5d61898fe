// Which images show what an expert's part is: those nearest to its centroid, and those at its
// border. For people to look at; for training see moe/part_images.h.
#pragma once

#include <cstdint>
#include <vector>

#include "cluster/row_source.h"
#include "moe/partition.h"

namespace hardmoe {

/// Images of one part.
struct PartSample {
  std::vector<int64_t>
      nearest;                  ///< by the distance to the expert's nearest centroid, nearest first
  std::vector<int64_t> border;  ///< by how little better their expert is than the next best by
                                ///< d² + price, the least first; empty with one expert
};

/// Returns a sample of each expert's part. `embedding`: that the partition was made of, N×D. Of
/// more than `most` images it looks at that many, in runs of neighbours at equal distances. For a
/// partition at random, which has no distances, `nearest` are the first images it looks at, and
/// none are at a border.
std::vector<PartSample> sample_parts(const Partition& partition, const RowSource& embedding,
                                     int64_t count, int64_t most = 200'000);

}  // namespace hardmoe
