// A trained network on disk: model.safetensors (torchvision's parameter names), model.yaml (what to
// build before loading them, what images become first, what its scores mean) and tags.tsv (the tags
// of fc's rows). These three are all that a model needs; stage.json beside them says how it was
// made.
#pragma once

#include <filesystem>

#include "base/format_number.h"
#include "data/dataset.h"
#include "engine/spec.h"
#include "nn/model_config.h"
#include "tensor/safetensors.h"

namespace hardmoe {

/// The format of model.yaml. Plain ResNets are still written in format 3, or in format 2, which has
/// no `tail`, if they have none; format 4 says which kind of network a model is. Format 1 has neither `format` nor `input` (images were normalised by ImageNet's mean
/// and deviation) nor `loss` (stage.json has it).
inline constexpr FileFormat model_format{"model", 4};

/// The contents of model.yaml.
struct ModelCard {
  ModelConfig model;
  int64_t tags = 0;                   ///< V
  std::string vocabulary;             ///< SHA-256 of the vocabulary it was trained on
  LossKind loss = LossKind::softmax;  ///< the loss it was trained with
  std::string format = format_text(model_format);
  void describe(Fields& f);
};

/// The tags of fc's rows, in the form of a dataset's tags.tsv. Folders of earlier versions have
/// none.
inline constexpr const char* model_tags_name = "tags.tsv";

struct Model {
  ModelCard card;
  StateDict weights;
};

/// Writes model.safetensors and model.yaml; `tags.tsv` is save_vocabulary()'s.
void save_model(const std::filesystem::path& folder, const Model& model);

/// Reads FOLDER/model.yaml. Throws Error naming it if it differs from what its stage recorded or
/// its format is newer than this version; Error(usage) naming the line of an invalid value.
ModelCard load_model_card(const std::filesystem::path& folder);

/// Reads a model. Throws Error naming the file if one is missing or has a format newer than this
/// version, or if the weights do not fit the architecture.
Model load_model(const std::filesystem::path& folder);

/// Returns whether both are the same network, over the same tags and with the same view of images,
/// however they were trained.
bool is_same_network(const ModelCard& a, const ModelCard& b);

/// Returns the loss that stage.json in a folder records; softmax if it records none. For folders of
/// format 1: later ones record it in model.yaml (see loss_of() in train/probability.h).
LossKind loss_in_stage(const std::filesystem::path& folder);

/// SHA-256 of the folder's weights, which says which model it is; the recorded one if there is a
/// record, to which the file is compared. Throws Error if there are none, or if they are damaged.
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
