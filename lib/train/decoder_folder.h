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

/// The format of decoder.yaml. Folders of format 1 have neither that file nor tags.tsv.
inline constexpr FileFormat decoder_format{"decoder", 2};

inline constexpr const char* decoder_weights_name = "decoder.safetensors";
inline constexpr const char* decoder_card_name = "decoder.yaml";

/// The contents of decoder.yaml.
struct DecoderCard {
  int64_t features = 0;    ///< D, values in a row of the unified embedding
  int64_t tags = 0;        ///< V
  std::string vocabulary;  ///< SHA-256 of the vocabulary the decoder was trained on
  LossKind loss = LossKind::softmax;
  std::string format = format_text(decoder_format);
  void describe(Fields& f);
};

/// Writes weights (fc.weight V×D, fc.bias V), card and tags; returns the three files' names.
std::vector<std::string> save_decoder(const std::filesystem::path& folder, const StateDict& weights,
                                      LossKind loss, const Vocabulary& vocabulary);

/// Reads decoder.yaml. Throws Error naming it if it differs from what its stage recorded, or if its
/// format is newer than this version.
DecoderCard load_decoder_card(const std::filesystem::path& folder);

/// Returns the weights, of `tags` × `features` values. Throws Error naming the file if one differs
/// from what its stage recorded, has a format newer than this version, or has other shapes.
StateDict load_decoder(const std::filesystem::path& folder, int64_t features, int64_t tags);

}  // namespace hardmoe
