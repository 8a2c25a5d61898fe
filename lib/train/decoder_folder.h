// A shared decoder on disk: decoder.safetensors (fc.weight, fc.bias), decoder.yaml (what it reads
// and what its scores mean) and tags.tsv (the tags of its rows).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/format_number.h"
#include "data/dataset.h"
#include "engine/spec.h"
#include "tensor/safetensors.h"

namespace hardmoe {

/// The format of decoder.yaml. Folders of format 1 have neither that file nor tags.tsv; format 2 has
/// no `embedding` and no `base_share`, and is still what a decoder of experts' features is written
/// in.
inline constexpr FileFormat decoder_format{"decoder", 3};

/// What an image's row of the unified embedding is, which a decoder reads.
enum class EmbeddingKind {
  expert,  ///< its expert's feature
  blend,   ///< a·(the base's feature) + (1−a)·(the expert's)
  both,    ///< the base's feature, then the expert's
};

inline const std::vector<std::string> embedding_kinds = {"expert", "blend", "both"};

inline constexpr const char* decoder_weights_name = "decoder.safetensors";
inline constexpr const char* decoder_card_name = "decoder.yaml";

/// The contents of decoder.yaml.
struct DecoderCard {
  int64_t features = 0;    ///< values in a row of the unified embedding: D, or 2D for both
  int64_t tags = 0;        ///< V
  std::string vocabulary;  ///< SHA-256 of the vocabulary the decoder was trained on
  LossKind loss = LossKind::softmax;
  EmbeddingKind embedding = EmbeddingKind::expert;
  double base_share = 0;  ///< a of a blend; what the first weights of both had
  std::string format = format_text(decoder_format);
  void describe(Fields& f);
};

/// Writes weights (fc.weight V×D, fc.bias V), card and tags; returns the three files' names. Of
/// `card` loss, embedding and base_share are read.
std::vector<std::string> save_decoder(const std::filesystem::path& folder, const StateDict& weights,
                                      DecoderCard card, const Vocabulary& vocabulary);

/// Reads decoder.yaml. Throws Error naming it if it differs from what its stage recorded, or if its
/// format is newer than this version. Of format 1, what no file says is at its default.
DecoderCard load_decoder_card(const std::filesystem::path& folder);

/// Returns the weights, of `tags` × `features` values. Throws Error naming the file if one differs
/// from what its stage recorded, has a format newer than this version, or has other shapes.
StateDict load_decoder(const std::filesystem::path& folder, int64_t features, int64_t tags);

}  // namespace hardmoe
