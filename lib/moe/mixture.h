// A trained hard mixture of experts: base, gater, experts, and (perhaps) the decoder they share.
//
//   local:  ŷ = softmax(W_i H_i(x) + b_i)     shared: ŷ = softmax(W H_i(x) + b),   i = gater(x)
//                                                                 (Gross et al. 2017, §3)
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "moe/partition.h"
#include "train/inference.h"
#include "train/model_folder.h"

namespace hardmoe {

struct Mixture {
  Model base;
  Partition partition;
  std::vector<std::filesystem::path> experts;  ///< expert k's folder, read when it is needed
  std::optional<StateDict> decoder;            ///< fc.weight, fc.bias; absent: each expert's own
  bool own_embedding = false;  ///< routed by an embedding of one's own, not by the base's features
  std::vector<LossKind> losses;  ///< K: what scores the experts' images learned by
  std::string dataset;           ///< the fingerprint of what the experts were trained on
};

/// Whether a partition with these inputs of its stage was made of an embedding of one's own: of
/// .npy files that moe-embed did not write.
bool is_own_embedding(const Json& partition_inputs);

/// Throws Error(usage) where the partition in `partition` was made from the embedding of another
/// model than the one in `base`, or (unless `dataset`, a fingerprint, is empty) of another dataset.
/// A partition of an embedding of one's own tells neither.
void require_partition_of(const std::filesystem::path& partition, const std::filesystem::path& base,
                          const std::string& dataset);

/// Whether a shared decoder must have been trained over just these experts.
enum class DecoderMatch {
  exact,
  stale,  ///< over others of the same base, too; with a warning
};

/// experts: the folder that holds one folder an expert, named 0 … K-1. decoder: a folder of
/// moe-train-decoder, or empty. Throws Error naming the expert that is missing, or the part that
/// was made for another whole.
Mixture open_mixture(const std::filesystem::path& base, const std::filesystem::path& partition,
                     const std::filesystem::path& experts, const std::filesystem::path& decoder,
                     DecoderMatch match = DecoderMatch::exact);

/// The fingerprints of its base, partition and experts, for the inputs of a stage.
Json mixture_identity(const Mixture& mixture, const std::filesystem::path& base,
                      const std::filesystem::path& partition);

/// Weights of expert k, with the shared decoder in place of its own if there is one.
StateDict expert_weights(const Mixture& mixture, int64_t k);

/// The base's embedding of `items`: float32 n×D.
Tensor embed(Inference& inference, const Split& split, const std::vector<int64_t>& items);

/// The unified embedding of a split: row i is image i's feature from its own expert's
/// trunk, N×D float32. `assignment`: the expert of each image.
Tensor unified_embedding(Inference& inference, const Mixture& mixture, const Split& split,
                         const std::vector<uint16_t>& assignment);

/// Positions of each expert's images in `assignment`.
std::vector<std::vector<int64_t>> items_by_expert(const std::vector<uint16_t>& assignment,
                                                  int64_t experts);

/// What tells a part's images from another's: an expert is one of a partition's whose part they
/// are.
std::string fingerprint_of_items(const std::vector<int64_t>& items);

/// Learned scalars and floating-point operations an image of the whole: base's trunk + one expert
/// (or `top_experts`), as an image is evaluated. Where an embedding of one's own routes, the base
/// is not part of it, and what made the embedding is not counted.
struct Cost {
  int64_t parameters = 0;
  double flops = 0;
};
Cost model_cost(const ModelCard& card);
Cost mixture_cost(const Mixture& mixture, int64_t top_experts);

}  // namespace hardmoe
