// The partition by balanced k-means: one centroid an expert or several, and experts of their own
// for equal embeddings that are more than an expert may have.
#pragma once

#include "moe/partition.h"

namespace hardmoe {

/// Sets the partition's assignment, inertia, iterations and equal_rows, and the gater's centroids,
/// prices and experts of centroids; its PCA is there already. `points`: of all features, kept in
/// memory as far as `spare` bytes allow.
void partition_by_kmeans(const RowSource& features, PointStream& points, int64_t spare,
                         const PartitionRun& run, Partition& partition);

/// Bytes that it needs at most besides its stream's own, of points of `dimensions` values.
int64_t kmeans_partition_bytes(int64_t rows, int64_t dimensions, int64_t block_rows,
                               const PartitionConfig& config);

}  // namespace hardmoe
