#include "ingest/sources/split_layout.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <utility>

#include "ingest/sources/folder_walk.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Returns "train", "val" or "test" for one of the usual words, in lower case; "" for others.
std::string_view split_of_word(std::string_view word) {
  using Word = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Word, 11> words = {{{"train", "train"},
                                           {"training", "train"},
                                           {"trainval", "train"},
                                           {"val", "val"},
                                           {"valid", "val"},
                                           {"validation", "val"},
                                           {"dev", "val"},
                                           {"eval", "val"},
                                           {"evaluation", "val"},
                                           {"test", "test"},
                                           {"testing", "test"}}};
  const auto* const found = std::find_if(words.begin(), words.end(),
                                         [&](const Word& known) { return known.first == word; });
  return found == words.end() ? std::string_view() : found->second;
}

/// Returns the layout; its `val` are the folders of val or, if there are none, of test.
SplitLayout layout_of(std::vector<fs::path> train, std::vector<fs::path> val,
                      std::vector<fs::path> test, std::vector<fs::path> others) {
  if (val.empty()) std::swap(val, test);
  others.insert(others.end(), test.begin(), test.end());
  return {std::move(train), std::move(val), std::move(others)};
}

}  // namespace

SplitName split_in_name(const std::string& name) {
  const std::string lower = lower_ascii(name);
  SplitName found;
  for (size_t at = 0; at < lower.size();) {
    const auto is_letter = [&](size_t i) {
      return i < lower.size() && std::isalpha(static_cast<unsigned char>(lower[i])) != 0;
    };
    size_t end = at;
    while (is_letter(end)) ++end;
    if (const auto split = split_of_word(std::string_view(lower).substr(at, end - at));
        !split.empty()) {
      found = {split, lower.substr(0, at) + "*" + lower.substr(end)};
    }
    at = end + 1;
  }
  return found;
}

std::optional<SplitLayout> splits_in_subfolders(const fs::path& folder) {
  const auto subfolders = subfolders_of(folder);
  std::map<std::string, std::set<std::string_view>> splits;  // by the rest of their names
  for (const fs::path& below : subfolders) {
    const SplitName name = split_in_name(below.filename().string());
    if (!name.split.empty()) splits[name.rest].insert(name.split);
  }
  std::string chosen = "*";
  const auto are_whole = [](const auto& entry) {
    return entry.second.contains("train") && entry.second.size() > 1;
  };
  if (!splits.contains(chosen) && std::count_if(splits.begin(), splits.end(), are_whole) == 1) {
    chosen = std::find_if(splits.begin(), splits.end(), are_whole)->first;
  }
  std::vector<fs::path> train, val, test, others;
  for (const fs::path& below : subfolders) {
    const SplitName name = split_in_name(below.filename().string());
    const std::string_view split = name.rest == chosen ? name.split : std::string_view();
    (split == "train"  ? train
     : split == "val"  ? val
     : split == "test" ? test
                       : others)
        .push_back(below);
  }
  const auto there = static_cast<int>(!train.empty()) + static_cast<int>(!val.empty()) +
                     static_cast<int>(!test.empty());
  if (there == 0) return {};
  // A single folder of that name among others is a class.
  if ((there == 1 || train.empty()) && !others.empty()) return {};
  return layout_of(std::move(train), std::move(val), std::move(test), std::move(others));
}

std::optional<SplitLayout> splits_of_tars(const std::vector<fs::path>& tars) {
  std::vector<fs::path> train, val, test;
  for (const fs::path& tar : tars) {
    const std::string_view split = split_in_name(tar.stem().string()).split;
    if (split.empty()) return {};
    (split == "train" ? train : split == "val" ? val : test).push_back(tar);
  }
  const auto there = static_cast<int>(!train.empty()) + static_cast<int>(!val.empty()) +
                     static_cast<int>(!test.empty());
  if (there < 2 || train.empty()) return {};
  return layout_of(std::move(train), std::move(val), std::move(test), {});
}

}  // namespace hardmoe
