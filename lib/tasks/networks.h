// The networks that a command looks at images with, by their folders: one model, or a mixture.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "moe/routing.h"

namespace hardmoe {

struct NetworkFolders {
  std::string model = {};  ///< of moe-train-base or moe-train-expert, or empty
  std::string base = {}, partition = {}, experts = {};  ///< a mixture's, where `model` is empty
  std::vector<std::string> features = {};  ///< what routes images where the base's features do not

  /// Whether a mixture is meant. Throws Error(usage) naming the options that are missing.
  bool is_mixture() const;
};

/// Throws Error(usage) where `experts` is the folder of one expert and not the folder that holds
/// all of them.
void check_experts_folder(const std::filesystem::path& experts);

/// What a stage that looks at images reads, for Stage::Options::reads: the data set, the networks,
/// and the files of an embedding of one's own.
std::vector<std::filesystem::path> paths_read(const std::filesystem::path& dataset,
                                              const NetworkFolders& networks,
                                              const std::optional<EmbeddingInput>& own);

}  // namespace hardmoe
