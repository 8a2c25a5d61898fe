// Adds one expert to a partition and leaves all other images where they are, so that the experts
// trained so far stay valid.
#pragma once

#include <filesystem>
#include <string>

#include "moe/partition.h"

namespace hardmoe {

/// Adds expert K at a centroid that lowers the inertia, with a price at which it takes N/(K+1)
/// images from the other experts; no other image moves. `features` must be those the partition was
/// made of. Throws Error(usage) for a control partition or other features.
Partition add_expert(const RowSource& features, Partition partition, uint64_t seed,
                     const PartitionRun& run = {});

/// Halves the largest expert by balanced 2-means among its images: one half keeps the expert's
/// number, the other becomes expert K. Throws as add_expert does.
Partition halve_largest_expert(const RowSource& features, Partition partition, uint64_t seed,
                               const PartitionRun& run = {});

/// The ways to add an expert.
enum class Growth {
  extend,  ///< add_expert
  halve,   ///< halve_largest_expert
};

/// Adds an expert to the partition in the folder `base`, in the given way.
Partition grow_partition(const RowSource& features, const std::filesystem::path& base,
                         Growth growth, uint64_t seed, const PartitionRun& run);

/// Throws Error(usage) unless the partition in `base` was made of this embedding (its identity).
void check_grows_from(const std::filesystem::path& base, const std::string& embedding);

}  // namespace hardmoe
