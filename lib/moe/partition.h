// Giving each training image to exactly one expert, and the files that say which.
//
//   assignment.npy      uint16, N: the expert of each image of the split that was embedded
//   gater.safetensors   the rule for other images (moe/gater.h)
//   partition.json      method, experts, images, sizes, imbalance, inertia, iterations, seed, …;
//                       dimensions: kept; equal_rows: images of each group of equal embeddings that
//                       is more than an expert may have
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/kmeans.h"
#include "moe/gater.h"
#include "moe/partition_config.h"

namespace hardmoe {

class Split;

struct Partition {
  PartitionConfig config;
  uint64_t seed = 0;
  std::vector<uint16_t> assignment;  ///< N
  Gater gater;
  std::vector<int64_t> sizes;  ///< K: images of each expert, counted in the assignment
  double imbalance = 0;        ///< the largest part over N/K: 1 is perfect
  bool balanced = true;        ///< sizes are within the tolerance (always for plain k-means)
  double inertia = 0;      ///< Σ ‖z − c‖²; c: the centroid, or the part's mean for controls
  int64_t dimensions = 0;  ///< of z: those that PCA kept
  double explained_variance = 1;            ///< share of the variance that PCA keeps
  std::vector<int64_t> equal_rows = {};     ///< images of each group of equal embeddings that is
                                            ///< more than an expert may have, largest first
  std::vector<KMeansIteration> iterations;  ///< k-means only
};

/// An unfinished fit by k-means, enough to go on from.
struct PartitionState {
  std::optional<Pca> pca;
  int64_t points = 0;  ///< images that are fitted: all, or those that no group of equal ones takes
  int attempt = 0;     ///< which of partition_by_kmeans's
  KMeansState kmeans;
};

struct PartitionRun {
  /// Sees each k-means iteration, and may throw to stop.
  std::function<void(const PartitionState&)> observe = {};
  const PartitionState* resume = nullptr;  ///< a state that `observe` saw
  ClusterBackend* backend = &cpu_cluster_backend();
};

/// Partitions N images by their features (N×D, finite). `top_tags` (for method top_tag only): each
/// image's most frequent tag, or -1 for none; tags are packed whole, largest first, into the part
/// with the fewest images, then images without tags fill the smallest. Throws Error(usage) for
/// impossible settings, less memory than it takes among them.
Partition partition_images(const RowSource& features, std::span<const int32_t> top_tags,
                           const PartitionConfig& config, uint64_t seed,
                           const PartitionRun& run = {});
/// Features in memory.
Partition partition_images(MatrixView features, std::span<const int32_t> top_tags,
                           const PartitionConfig& config, uint64_t seed,
                           const PartitionRun& run = {});

/// Sets sizes, imbalance and balanced by the assignment.
void count_sizes(Partition& partition);

/// Throws Error(usage) naming the setting that cannot be met with these images; partition_images
/// asks it first.
void check_partition(const RowSource& features, std::span<const int32_t> top_tags,
                     const PartitionConfig& config, const ClusterBackend& backend);

/// For each image of a split its most frequent tag (the lowest id), or -1.
std::vector<int32_t> most_frequent_tags(const Split& split);

/// Writes the three files into `folder` and returns their names.
std::vector<std::string> save_partition(const std::filesystem::path& folder,
                                        const Partition& partition);

/// Throws Error naming the file where something is missing or the files contradict each other.
Partition load_partition(const std::filesystem::path& folder);

/// `state` as FOLDER/checkpoint.safetensors, of the run of this identity (tensor/saved_state.h).
void save_partition_state(const std::filesystem::path& folder, const PartitionState& state,
                          const std::string& run = {});
/// The newest whole one of that run, as load_state; none where there is none.
std::optional<PartitionState> load_partition_state(const std::filesystem::path& folder,
                                                   const std::string& run = {});
void remove_partition_state(const std::filesystem::path& folder);

/// What partition_in_folder and save_partition write, for Stage::Options::writes.
std::vector<std::string> partition_files();

/// partition_images as a command does it: says each iteration on standard error, saves the fit in
/// `folder` as often as the configuration asks and when interrupted (then it throws), and goes on
/// from what the same `run` saved there.
Partition partition_in_folder(const std::filesystem::path& folder, const RowSource& features,
                              std::span<const int32_t> top_tags, const PartitionConfig& config,
                              uint64_t seed, ClusterBackend& backend, const std::string& run = {});

/// For people: the experts' sizes, imbalance, inertia, what PCA keeps.
std::string describe(const Partition& partition);

/// partition.json's content.
Json partition_json(const Partition& partition);

}  // namespace hardmoe
