#include "data/split_layout.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "data/folder_walk.h"
#include "data/source_kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Of the words in the name ("tags-train-000.tar"), the one that names a split.
std::string_view split_in_words(const std::string& name) {
  std::string word;
  std::string_view found;
  for (const char c : name + ".") {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word += c;
      continue;
    }
    if (const auto split = split_named(word); !split.empty()) found = split;
    word.clear();
  }
  return found;
}

/// `val` is what there is of val, else of test.
SplitLayout layout_of(std::vector<fs::path> train, std::vector<fs::path> val,
                      std::vector<fs::path> test, std::vector<fs::path> others) {
  if (val.empty()) std::swap(val, test);
  others.insert(others.end(), test.begin(), test.end());
  return {std::move(train), std::move(val), std::move(others)};
}

}  // namespace

std::string_view split_named(std::string_view name) {
  struct Name {
    std::string_view name, split;
  };
  constexpr std::array<Name, 8> names = {{{"train", "train"},
                                          {"training", "train"},
                                          {"val", "val"},
                                          {"valid", "val"},
                                          {"validation", "val"},
                                          {"dev", "val"},
                                          {"test", "test"},
                                          {"testing", "test"}}};
  const std::string lower = lower_ascii(std::string(name));
  const auto* const found = std::find_if(names.begin(), names.end(),
                                         [&](const Name& known) { return known.name == lower; });
  return found == names.end() ? std::string_view() : found->split;
}

std::optional<SplitLayout> splits_in_subfolders(const fs::path& folder) {
  std::vector<fs::path> train, val, test, others;
  for (const fs::path& below : subfolders_of(folder)) {
    const std::string_view split = split_named(below.filename().string());
    (split == "train"  ? train
     : split == "val"  ? val
     : split == "test" ? test
                       : others)
        .push_back(below);
  }
  if (train.empty()) return {};
  if (val.empty() && test.empty() && !others.empty()) return {};  // a class of that name
  return layout_of(std::move(train), std::move(val), std::move(test), std::move(others));
}

std::optional<SplitLayout> splits_of_tars(const std::vector<fs::path>& tars) {
  std::vector<fs::path> train, val, test;
  for (const fs::path& tar : tars) {
    const std::string_view split = split_in_words(tar.stem().string());
    if (split.empty()) return {};
    (split == "train" ? train : split == "val" ? val : test).push_back(tar);
  }
  const auto there = static_cast<int>(!train.empty()) + static_cast<int>(!val.empty()) +
                     static_cast<int>(!test.empty());
  if (there < 2 || train.empty()) return {};
  return layout_of(std::move(train), std::move(val), std::move(test), {});
}

}  // namespace hardmoe
