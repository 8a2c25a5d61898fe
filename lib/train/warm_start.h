// Weights that a training run begins with instead of random ones: torchvision's or timm's ResNets
// as .safetensors, or an earlier model of ours. Not for resuming a run: see train/checkpoint.h.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/dataset.h"
#include "nn/model_config.h"
#include "tensor/safetensors.h"

namespace hardmoe {

/// Weights that were read, checked against the network's trunk.
struct EarlierWeights {
  std::filesystem::path file;
  /// The trunk's tensors, float32; also fc.weight and fc.bias if it is known which tags they are
  /// of.
  StateDict tensors;
  std::string vocabulary;         ///< an earlier model's vocabulary_hash; "": another tool's file
  std::vector<std::string> tags;  ///< of fc's rows; empty if the folder does not record them
  Json identity;        ///< SHA-256 of the weights and the vocabulary, for a stage's inputs
  std::string warning;  ///< what a person should know of them; "": nothing
};

/// Reads the weights at `init` for the network of `model`. `init` is a folder of moe-train-base or
/// moe-train-expert; a .safetensors file with torchvision's parameter names, in any floating type,
/// possibly all with the same prefix; or a folder with such a model.safetensors, as timm writes it
/// beside config.json. Throws Error(usage) for anything else, or naming the first tensor that does
/// not fit, the shapes found and expected, and the options to set; Error for a damaged file or
/// values that cannot be weights.
EarlierWeights read_earlier_weights(const std::filesystem::path& init, const ModelConfig& model);

/// Replaces fresh `weights` by the earlier ones: all of the trunk, and the rows of fc whose tags
/// the earlier model had, by name. Other rows stay fresh, and so does all of fc of another tool's
/// model, whose classes are not the vocabulary's even if there are as many. Returns a line for
/// people that says what was taken and what begins fresh.
std::string begin_with(const EarlierWeights& earlier, const Vocabulary& vocabulary,
                       StateDict& weights);

}  // namespace hardmoe
