// A partition of the training images: each image belongs to exactly one expert. The files:
//
//   assignment.npy      uint16, N: the expert of each image of the split that was embedded
//   gater.safetensors   the rule for other images (moe/gater.h)
//   partition.json      method, experts, images, sizes, imbalance, inertia, iterations, seed, …;
//                       dimensions: those that PCA kept; equal_rows: the number of images in each
//                       group of equal embeddings that is larger than an expert's part may be;
//                       reroute: how it came from an earlier partition's experts, if it did
//
// Not for adding an expert to a finished partition: see partition_grow.h.
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

/// How a partition came from the experts of an earlier one (moe/reroute.h): figures of images that
/// no expert was trained on; those of the new rule cross-validated.
struct Rerouting {
  int64_t images = 0;      ///< held-out images
  double temperature = 1;  ///< T of the targets
  double penalty = 0;      ///< λ of the classifier, given or chosen
  double loss_before = 0,
         loss_after = 0;  ///< mean loss of the experts that images went, and go, to
  double loss_least = 0;  ///< mean of each image's least loss, a bound
  double best_before = 0, best_after = 0;  ///< share of images whose expert was, and is, the best
  int64_t moved = 0;                       ///< training images that changed their expert
  bool kept = false;  ///< no classifier did better: the earlier partition stands
};

/// A finished partition. An expert's part is the set of its images.
struct Partition {
  PartitionConfig config;
  uint64_t seed = 0;
  std::vector<uint16_t> assignment;  ///< N: each image's expert
  Gater gater;
  std::vector<int64_t> sizes;  ///< K: images of each expert, counted in the assignment
  double imbalance = 0;        ///< the largest part over N/K: 1 is perfect
  bool balanced = true;        ///< sizes are within the tolerance (always for plain k-means)
  double agreement = 1;        ///< see KMeansResult::agreement
  double inertia = 0;      ///< Σ ‖z − c‖²; c: the centroid, or for controls the part's mean
  int64_t dimensions = 0;  ///< of z: those that PCA kept
  double explained_variance = 1;  ///< share of the variance that PCA keeps
  /// The number of images in each group of equal embeddings that is larger than a part may be,
  /// largest first.
  std::vector<int64_t> equal_rows = {};
  std::vector<KMeansIteration> iterations;  ///< k-means only
  std::optional<Rerouting> rerouting = {};  ///< only where experts of an earlier one decided
};

/// An unfinished k-means fit, from which it can be resumed.
struct PartitionState {
  std::optional<Pca> pca;
  int64_t points = 0;  ///< images in the fit: all but those in groups of equal ones
  int attempt = 0;     ///< number of the attempt, see partition_by_kmeans
  KMeansState kmeans;
};

/// How a partition is run.
struct PartitionRun {
  /// Called after each k-means iteration; may throw to stop.
  std::function<void(const PartitionState&)> observe = {};
  const PartitionState* resume = nullptr;  ///< a state that `observe` was given; null: begin anew
  ClusterBackend* backend = &cpu_cluster_backend();
};

/// Partitions N images by their features (N×D, finite). `top_tags` (for method top_tag only) holds
/// each image's most frequent tag, or -1 for none. All images of a tag go to one expert: tags are
/// taken largest first, each to the expert with the fewest images; images without tags then fill
/// the smallest parts. Throws Error(usage) for impossible settings, a memory limit that is too low
/// included.
Partition partition_images(const RowSource& features, std::span<const int32_t> top_tags,
                           const PartitionConfig& config, uint64_t seed,
                           const PartitionRun& run = {});
/// The same for features in memory. Throws Error also naming an image whose feature has values that
/// are not finite or too large.
Partition partition_images(MatrixView features, std::span<const int32_t> top_tags,
                           const PartitionConfig& config, uint64_t seed,
                           const PartitionRun& run = {});

/// Sets sizes, imbalance and `balanced` from the assignment.
void count_sizes(Partition& partition);

/// Throws Error(usage) naming the setting that is impossible with these images. partition_images
/// calls it first.
void check_partition(const RowSource& features, std::span<const int32_t> top_tags,
                     const PartitionConfig& config, const ClusterBackend& backend);

/// Returns each image's most frequent tag (its lowest tag id), or -1 for none.
std::vector<int32_t> most_frequent_tags(const Split& split);

/// Writes the three files into `folder` and returns their names.
std::vector<std::string> save_partition(const std::filesystem::path& folder,
                                        const Partition& partition);

/// Reads a partition. Throws Error naming the file that is missing, damaged or contradicts another.
Partition load_partition(const std::filesystem::path& folder);

/// Saves an unfinished fit as FOLDER/checkpoint.safetensors. `run`: the identity of the stage that
/// may resume from it (tensor/saved_state.h).
void save_partition_state(const std::filesystem::path& folder, const PartitionState& state,
                          const std::string& run = {});
/// Returns the newest undamaged state that `run` saved, or nothing; see load_state.
std::optional<PartitionState> load_partition_state(const std::filesystem::path& folder,
                                                   const std::string& run = {});
/// Removes saved states.
void remove_partition_state(const std::filesystem::path& folder);

/// Returns the names of what partition_in_folder and save_partition write, for Stage::Options.
std::vector<std::string> partition_files();

/// Runs partition_images as a command does: logs each iteration, saves the fit in `folder` as often
/// as configured and when interrupted (then it throws Error(interrupted)), and resumes from what
/// the same `run` saved there.
Partition partition_in_folder(const std::filesystem::path& folder, const RowSource& features,
                              std::span<const int32_t> top_tags, const PartitionConfig& config,
                              uint64_t seed, ClusterBackend& backend, const std::string& run = {});

/// Returns a summary for people: parts' sizes, imbalance, inertia, what PCA keeps.
std::string describe(const Partition& partition);

/// Returns the content of partition.json.
Json partition_json(const Partition& partition);

}  // namespace hardmoe
