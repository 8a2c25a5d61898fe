// The gater: which expert an image goes to, from its feature in the base's embedding.
//
//   z = (x − mean)·Wᵀ (without PCA x − mean)     T(x) = expert of argmin_c ‖z − c‖² + p_c
//   (Gross et al. 2017, §3; prices, and several centroids an expert, ours)
//
// The controls need a rule for unseen images too: `random` draws uniformly by the image's number,
// and `top_tag`, which cannot know the tags of an unseen image, takes the nearest of the parts'
// means.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/format_number.h"
#include "cluster/pca.h"
#include "moe/partition_config.h"

namespace hardmoe {

/// Experts of N images, best first.
struct ExpertChoices {
  int64_t experts = 0;           ///< n: choices an image
  std::vector<uint16_t> expert;  ///< N×n
  std::vector<float> squared_distance;  ///< N×n: d² = ‖z − c‖², not its root, and without the price
};

/// An expert halved after the fit: of what the gater gave to `parent`, some is `child`'s now.
struct ExpertSplit {
  uint16_t parent = 0, child = 0;
  Tensor centroids;  ///< 2×P: the parent's half, the child's
  float prices[2] = {0, 0};

  /// The parent or the child, for a projected feature z.
  uint16_t choose(const float* z, bool use_prices) const;
};

struct Gater {
  PartitionMethod kind = PartitionMethod::kmeans;
  int64_t experts = 0;
  uint64_t seed = 0;          ///< of random's draws
  int64_t inputs = 0;         ///< D: values of a feature
  std::optional<Pca> pca;     ///< absent (older files, random): z = x
  Tensor centroids;           ///< F×P float32; of no elements for random
  std::vector<float> prices;  ///< F (K for random)
  /// F: each centroid's expert; empty: F = K, and each centroid is an expert's own.
  std::vector<uint16_t> expert_of;
  std::vector<ExpertSplit> splits;  ///< applied one after another

  /// z (N×P) of features (N×D). Throws Error if they are not of D values.
  Tensor project(MatrixView features) const;

  /// d² from z to what stands for expert `expert` there: its nearest centroid, or the last split's.
  float distance_to(const float* z, uint16_t expert) const;

  /// The expert of each of N features. Without prices: plain nearest centroid, the published habit.
  /// Row i is image number first_image + i, which only `random` asks. Throws Error if the features
  /// are not of D values.
  std::vector<uint16_t> route(MatrixView features, bool use_prices = true,
                              int64_t first_image = 0) const;

  /// The `count` best experts of each feature, the first as route() has it. For weights
  /// softmax(−d²/T): the distances are squared already. `random` gives distances 0: equal weights.
  /// Throws Error(usage) for count outside 1 … K.
  ExpertChoices nearest_experts(MatrixView features, int64_t count, bool use_prices = true,
                                int64_t first_image = 0) const;
};

/// As .safetensors: pca.mean, pca.components (missing: z = x − pca.mean), centroids, prices,
/// expert_of, splits.*; metadata kind, experts, seed, inputs.
/// The format of gater.safetensors, in its metadata.
inline constexpr FileFormat gater_format{"gater", 1};

void save_gater(const std::filesystem::path& file, const Gater& gater);
/// Throws Error naming the file and what is missing or of another shape than the rest.
Gater load_gater(const std::filesystem::path& file);

/// Softmax over −d²/T of each image's choices: N×n weights, each row's sum 1. Throws Error(usage)
/// unless T > 0.
std::vector<float> expert_weights(const ExpertChoices& choices, double temperature);

}  // namespace hardmoe
