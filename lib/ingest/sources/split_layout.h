// Folders that hold a data set's splits side by side: train/ and val/, or train-*.tar and
// val-*.tar. For sources.cpp.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hardmoe {

/// What the name of a folder or file says of a split.
struct SplitName {
  std::string_view split;  ///< "train", "val" or "test"; "": none
  std::string rest;        ///< the name with '*' for that word: "*2017" of "train2017"
};

/// By the words (runs of letters) in the name, of whatever case: train, training, trainval; val,
/// valid, validation, dev, eval, evaluation; test, testing. The last of them counts.
SplitName split_in_name(const std::string& name);

struct SplitLayout {
  std::vector<std::filesystem::path> train, val;
  std::vector<std::filesystem::path> others;  ///< neither: a test split beside val, other folders
};

/// By the names of the folder's subfolders: train (or training …) beside val (valid …) or test,
/// whatever else there is; or splits alone, whichever. Also where the same stands beside the word
/// in each (train2017, val2017); where that is so of several, nothing, as where they are no splits.
std::optional<SplitLayout> splits_in_subfolders(const std::filesystem::path& folder);

/// By the words in the tars' names, if all of them have one and there are two splits at least.
std::optional<SplitLayout> splits_of_tars(const std::vector<std::filesystem::path>& tars);

}  // namespace hardmoe
