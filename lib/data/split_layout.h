// Folders that hold a data set's splits side by side: train/ and val/, or train-*.tar and
// val-*.tar. For sources.cpp.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

namespace hardmoe {

struct SplitLayout {
  std::vector<std::filesystem::path> train, val;
  std::vector<std::filesystem::path> others;  ///< neither: a test split beside val, other folders
};

/// By the names of the folder's subfolders: train (or training) beside val (valid, validation, dev)
/// or test, whatever else there is; or train alone. Nothing where they are no splits.
std::optional<SplitLayout> splits_in_subfolders(const std::filesystem::path& folder);

/// By the words in the tars' names, if all of them have one and there are two splits at least.
std::optional<SplitLayout> splits_of_tars(const std::vector<std::filesystem::path>& tars);

}  // namespace hardmoe
