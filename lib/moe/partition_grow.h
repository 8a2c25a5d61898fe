// One expert more, and every other image where it was: so that the experts already trained stay as
// they are.
#pragma once

#include <filesystem>
#include <string>

#include "moe/partition.h"

namespace hardmoe {

/// Adds expert K, with a centroid where it lowers the inertia and a price at which it takes N/(K+1)
/// images; these leave their experts, and no other image moves. `features` are those the partition
/// was made of. Throws Error(usage) for a control, or other features.
Partition add_expert(const RowSource& features, Partition partition, uint64_t seed,
                     const PartitionRun& run = {});

/// Halves the largest expert by balanced 2-means among its images: one half keeps its number, the
/// other is expert K's. Throws as add_expert does.
Partition split_largest_expert(const RowSource& features, Partition partition, uint64_t seed,
                               const PartitionRun& run = {});

enum class Growth {
  extend,  ///< add_expert
  split,   ///< split_largest_expert
};

/// Either, of the partition in a folder.
Partition grow_partition(const RowSource& features, const std::filesystem::path& base,
                         Growth growth, uint64_t seed, const PartitionRun& run);

/// Throws Error(usage) unless the partition in `base` was made of the embedding of this identity.
void check_grows_from(const std::filesystem::path& base, const std::string& embedding);

}  // namespace hardmoe
