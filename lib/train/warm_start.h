// The weights a training run may begin with instead of fresh ones: torchvision's or timm's ResNets
// as .safetensors, or an earlier model of ours. Not for resuming a run: see train/checkpoint.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/dataset.h"
#include "nn/resnet.h"
#include "tensor/safetensors.h"

namespace hardmoe {

struct EarlierWeights {
  std::filesystem::path file;
  StateDict
      tensors;  ///< the trunk's, float32; fc.weight and fc.bias where `vocabulary` says of what
  std::string vocabulary;  ///< an earlier model's vocabulary_hash; empty: another tool's file
  std::vector<std::string> tags;  ///< of fc's rows; empty where the folder does not tell
  Json identity;        ///< SHA-256 of the weights and the vocabulary, for a stage's inputs
  std::string warning;  ///< what a person should know of them; empty: nothing
};

/// Reads the weights at `init` for the network of `model`. `init`: a folder of moe-train-base or
/// moe-train-expert; a .safetensors file with torchvision's parameter names, in any floating type,
/// perhaps with a prefix that all names share; or a folder that holds such a model.safetensors, as
/// timm writes it beside config.json. Throws Error(usage) for something else, or naming the first
/// tensor that does not fit, the shapes found and expected and the options to set; Error for a
/// damaged file or values that are no weights.
EarlierWeights read_earlier_weights(const std::filesystem::path& init, const ModelConfig& model);

/// Puts them in place of fresh `weights`: all of the trunk, and the rows of fc whose tags the
/// earlier model had, by name. Other rows stay fresh; so do all of another tool's, whose classes
/// are not the vocabulary's even where there are as many. Returns what was taken and what begins
/// fresh, for people.
std::string begin_with(const EarlierWeights& earlier, const Vocabulary& vocabulary,
                       StateDict& weights);

}  // namespace hardmoe
