// The gater: chooses an image's expert by the image's feature in the base's embedding. (Other
// literature calls such a rule a router; here a router is a CNN in its place, moe/router.h.)
//
//   z = (x − mean)·Wᵀ (without PCA x − mean)     T(x) = expert of argmin_c ‖z − c‖² + p_c
//   (Gross et al. 2017, §3; prices, and several centroids an expert, ours)
//
// The control partitions also need a rule for new images: `random` draws uniformly by the image's
// number, and `top_tag`, for which a new image's tags are unknown, takes the nearest part mean.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/format_number.h"
#include "cluster/pca.h"
#include "moe/partition_config.h"

namespace hardmoe {

/// The best experts of N images.
struct ExpertChoices {
  int64_t experts = 0;                  ///< n: choices for each image
  std::vector<uint16_t> expert;         ///< N×n, best first
  std::vector<float> squared_distance;  ///< N×n: d² = ‖z − c‖²; without root, without price
};

/// An expert halved after the fit: some of the images that the gater gave to `parent` are
/// `child`'s.
struct ExpertHalving {
  uint16_t parent = 0, child = 0;
  Tensor centroids;          ///< 2×P: the parent's, the child's
  float prices[2] = {0, 0};  ///< the parent's, the child's

  /// Returns d² + price of the parent's half and of the child's, for a projected feature z (P
  /// values).
  std::array<float, 2> scores(const float* z, bool use_prices) const;
  /// Returns the parent or the child, whichever has the lower score; the parent among equals.
  uint16_t choose(const float* z, bool use_prices) const;
};

/// The rule from feature to expert.
struct Gater {
  PartitionMethod kind = PartitionMethod::kmeans;
  int64_t experts = 0;
  uint64_t seed = 0;          ///< of the draws of `random`
  int64_t inputs = 0;         ///< D: values of a feature
  std::optional<Pca> pca;     ///< absent (for `random`, and in older files): z = x
  Tensor centroids;           ///< F×P float32; empty for `random`
  std::vector<float> prices;  ///< F (K for `random`)
  /// F: each centroid's expert. Empty: F = K, and centroid k is expert k's.
  std::vector<uint16_t> expert_of;
  std::vector<ExpertHalving> halvings;  ///< applied one after another

  /// Returns z (N×P) of features (N×D). Throws Error unless the features have D values.
  Tensor project(MatrixView features) const;

  /// Returns d² from z to the expert's nearest centroid, or to its half's if it was halved.
  float distance_to(const float* z, uint16_t expert) const;

  /// Returns what z is routed by: route() gives it to the expert for which this is least. It is
  /// d² + price of the expert's best centroid. A half has its whole expert's, and if its sibling is
  /// chosen in its place, by how much their scores differ is added. Not for `random`.
  float score_of(const float* z, uint16_t expert) const;

  /// Returns the expert of each of N features. Without prices it is the nearest centroid's, as in
  /// the paper. Row i is image number first_image + i, which only `random` uses. Throws Error
  /// unless the features have D values.
  std::vector<uint16_t> route(MatrixView features, bool use_prices = true,
                              int64_t first_image = 0) const;

  /// Returns the `count` best experts of each feature, the first as in route(). Distances are
  /// squared already, as gating_weights takes them; for `random` they are 0, so weights are equal.
  /// Throws Error(usage) for count outside 1 … K.
  ExpertChoices nearest_experts(MatrixView features, int64_t count, bool use_prices = true,
                                int64_t first_image = 0) const;
};

/// The format of gater.safetensors, in its metadata.
inline constexpr FileFormat gater_format{"gater", 1};

/// Writes the gater as .safetensors: pca.mean, pca.components (missing: z = x − pca.mean),
/// centroids, prices, expert_of, splits.*; metadata format, kind, experts, seed, inputs, whitened.
void save_gater(const std::filesystem::path& file, const Gater& gater);
/// Reads a gater; its PCA has no variances, which the file does not hold. Throws Error naming the
/// file and what is missing or has the wrong shape.
Gater load_gater(const std::filesystem::path& file);

/// Returns the weights by which several experts' answers are mixed: softmax over −d²/T of each
/// image's choices, N×n, each row's sum 1. Throws Error(usage) unless T > 0.
std::vector<float> gating_weights(const ExpertChoices& choices, double temperature);

}  // namespace hardmoe
