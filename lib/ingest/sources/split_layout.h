// Recognises folders that hold a data set's splits side by side: train/ and val/, or train-*.tar
// and val-*.tar. For sources.cpp.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// What the name of a folder or file says about a split.
struct SplitName {
  std::string_view split;  ///< "train", "val" or "test"; "": none
  std::string rest;        ///< the name with '*' in place of that word: "*2017" of "train2017"
};

/// Finds a split in a name by its words (runs of letters, of any case): train, training, trainval;
/// val, valid, validation, dev, eval, evaluation; test, testing. The last such word counts.
SplitName split_in_name(const std::string& name);

/// The splits found.
struct SplitLayout {
  std::vector<std::filesystem::path> train, val;
  std::vector<std::filesystem::path> others;  ///< neither: a test split beside val, other folders
};

/// Finds splits by the names of subfolders: train (or training …) beside val (valid …) or test,
/// among other folders; or any splits, without other folders. The names may share other text
/// (train2017, val2017). Returns nothing if several sets of splits match, or none.
std::optional<SplitLayout> splits_in_subfolders(const std::filesystem::path& folder);

/// Finds splits by words in the tars' names. Returns nothing unless all names have one and there
/// are at least two splits.
std::optional<SplitLayout> splits_of_tars(const std::vector<std::filesystem::path>& tars);

}  // namespace hardmoe
