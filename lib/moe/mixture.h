// A trained hard mixture of experts: base, gater, experts, and perhaps the shared decoder (one
// classifier head for all experts). Not for training one: see lib/tasks.
//
//   local:  ŷ = softmax(W_i H_i(x) + b_i)     shared: ŷ = softmax(W H_i(x) + b),   i = gater(x)
//                                                                 (Gross et al. 2017, §3)
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "moe/partition.h"
#include "train/decoder_folder.h"
#include "train/inference.h"
#include "train/model_folder.h"

namespace hardmoe {

/// An opened mixture. The experts' weights are read only when they are needed.
struct Mixture {
  Model base;
  Partition partition;
  std::vector<std::filesystem::path> experts;  ///< K: each expert's folder
  std::optional<StateDict> decoder;            ///< fc.weight, fc.bias; absent: each expert's own
  EmbeddingKind embedding = EmbeddingKind::expert;  ///< what the shared decoder reads
  double embedding_share = 0;                       ///< the base's share of a blend
  std::optional<Model> router;      ///< chooses the experts in the gater's place (moe/router.h)
  bool external_embedding = false;  ///< routed by an external embedding, not by the base's features
  std::vector<LossKind> losses;  ///< K: the loss that the head scoring expert k's images learned by
  std::string dataset;           ///< fingerprint of the dataset that the experts were trained on
  std::optional<int> shared_cut;  ///< what all experts have in common with the base, by
                                  ///< shared_cut() (moe/shared_stages.h)
};

/// Returns whether a partition was made of an external embedding, one that no model of ours
/// computed, judging by the inputs of its stage.
bool is_external_embedding(const Json& partition_inputs);

/// Throws Error(usage) if the partition was made of another model's embedding than `base`'s, or
/// (unless `dataset`, a fingerprint, is empty) of another dataset's. A partition of an external
/// embedding records neither, so it passes.
void require_partition_of(const std::filesystem::path& partition, const std::filesystem::path& base,
                          const std::string& dataset);

/// How closely a shared decoder must match the experts.
enum class DecoderMatch {
  exact,  ///< trained over just these experts
  stale,  ///< trained over other experts of the same base is accepted too, with a warning
};

/// Returns the cut up to which stages are computed once an image: what experts and base share, or
/// less, as much as a router that begins with the base's stages has; none: nothing.
std::optional<int> common_cut(const Mixture& mixture);

/// Returns whether the mixture's router begins with stages that are computed for the experts
/// anyway.
bool router_shares(const Mixture& mixture);

/// Opens a mixture and checks that its folders belong together. `experts`: a folder with one folder
/// for each expert, named 0 … K-1. `decoder`: a folder of moe-train-decoder, or empty. Throws
/// Error naming the expert that is missing, or the folder that was made for another mixture.
Mixture open_mixture(const std::filesystem::path& base, const std::filesystem::path& partition,
                     const std::filesystem::path& experts, const std::filesystem::path& decoder,
                     DecoderMatch match = DecoderMatch::exact);

/// Returns the fingerprints of the mixture's base, partition and experts, for a stage's inputs.
Json mixture_identity(const Mixture& mixture, const std::filesystem::path& base,
                      const std::filesystem::path& partition);

/// Returns the fingerprint of a shared decoder, of moe-train-decoder or moe-finetune.
std::string decoder_fingerprint(const std::filesystem::path& decoder);

/// Returns the weights of expert k, with the shared decoder as its `fc` if there is one that reads
/// experts' features. Reads the expert's folder.
StateDict expert_state_dict(const Mixture& mixture, int64_t k);

/// Returns the features of the split's `items`, n×D float32, by the weights that are loaded.
Tensor embed(Inference& inference, const Split& split, const std::vector<int64_t>& items);

/// Returns, for each expert, the indices of its images in `assignment`, ascending.
std::vector<std::vector<int64_t>> items_by_expert(const std::vector<uint16_t>& assignment,
                                                  int64_t experts);

/// Returns the SHA-256 of a list of image numbers. An expert's stage records that of its part, so
/// that it is accepted in any partition that gives it the same images.
std::string fingerprint_of_items(const std::vector<int64_t>& items);

/// The size of a model or mixture as it is evaluated: learned scalars in all, and floating-point
/// operations for one image (the base's trunk and `top_experts` experts). If an external embedding
/// routes, the model that computed it is not counted, and the base only if it has a share in the
/// answer; if a router does, it is counted, and the base is not. Stages that experts share with the
/// base or the router count once.
struct Cost {
  int64_t parameters = 0;
  double flops = 0;
};
/// Returns the cost of a single model. Of a V-MoE whose experts have room for fewer tokens than choose
/// them, the operations are those of full experts.
Cost model_cost(const ModelCard& card);
/// Returns the cost of `count` trunks of a mixture, base and experts; 0 or more.
Cost trunks_cost(const Mixture& mixture, int64_t count);
/// Returns what a mixture's router costs beside its trunks; nothing without one.
Cost router_cost(const Mixture& mixture);
/// Returns the cost of a mixture of which `top_experts` experts answer for each image. `base`:
/// whether the base's own answer is mixed in, which costs its head, as its trunk routes already.
Cost mixture_cost(const Mixture& mixture, int64_t top_experts, bool base = false);

}  // namespace hardmoe
