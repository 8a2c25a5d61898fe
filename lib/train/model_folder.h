// A trained network on disk: model.safetensors (torchvision's parameter names), model.yaml (what to
// build before loading them) and tags.tsv (what the rows of fc stand for).
#pragma once

#include <filesystem>

#include "data/dataset.h"
#include "nn/resnet.h"
#include "tensor/safetensors.h"

namespace hardmoe {

/// What model.yaml says.
struct ModelCard {
  ModelConfig model;
  int64_t tags = 0;        ///< V
  std::string vocabulary;  ///< SHA-256 of the vocabulary it was trained on
  void describe(Fields& f);
};

/// The tags of fc's rows, in the form of a dataset's tags.tsv. Folders of earlier versions have
/// none.
inline constexpr const char* model_tags_name = "tags.tsv";

struct Model {
  ModelCard card;
  StateDict weights;
};

void save_model(const std::filesystem::path& folder, const Model& model);

/// Throws Error naming the file if one is missing or the weights do not fit the architecture.
Model load_model(const std::filesystem::path& folder);

/// SHA-256 of the folder's weights, which says which model it is. Throws Error if there are none.
std::string model_hash(const std::filesystem::path& folder);

/// The stage_fingerprint of a folder that may be a mixture's base: of moe-train-base, or of
/// moe-train-expert --expert all. Throws Error(usage) for an expert of a part.
std::string base_fingerprint(const std::filesystem::path& folder);

/// SHA-256 of the vocabulary's tags in order.
std::string vocabulary_hash(const Vocabulary& vocabulary);

/// Throws Error(usage) if the model in `folder` was trained on other tags than the dataset has.
void require_vocabulary(const ModelCard& card, const std::filesystem::path& folder,
                        const Dataset& dataset);

}  // namespace hardmoe
