// The partition by balanced k-means, with one centroid an expert or several. Groups of equal
// embeddings that are larger than a part may be get experts of their own. Part of partition_images.
#pragma once

#include "moe/partition.h"

namespace hardmoe {

/// Fits k-means to the images and sets the partition's assignment, inertia, iterations and
/// equal_rows, and its gater's centroids, prices and expert_of; the gater's PCA must be set. While
/// experts are not equal, further attempts are made that treat equal embeddings differently.
/// `points`: all projected features; up to `spare` bytes of them are kept in memory.
void partition_by_kmeans(const RowSource& features, PointStream& points, int64_t spare,
                         const PartitionRun& run, Partition& partition);

/// Returns the most bytes it needs besides its stream's buffers, for points of `dimensions` values.
int64_t kmeans_partition_bytes(int64_t rows, int64_t dimensions, int64_t block_rows,
                               const PartitionConfig& config);

}  // namespace hardmoe
