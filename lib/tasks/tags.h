// moe-tags: a data set's vocabulary, for choosing stop tags and merges.
#pragma once

#include <filesystem>
#include <string>

namespace hardmoe {

struct TagsTask {
  std::string dataset;  ///< folder of moe-ingest
  std::string tag;      ///< show what else is on its images; empty: no
  /// Files for suggestions, in the form that moe-ingest reads; "-": among what is returned; empty:
  /// none.
  std::filesystem::path stop_tags, merge_tags;
  std::filesystem::path wordnet = "/usr/share/wordnet";
  int top = 20;  ///< rows of a table
};

/// Returns what is asked for, for people: the tags beside `tag`, and suggestions for "-"; where
/// nothing is, the vocabulary and its long tail. Throws Error(usage) for a tag that is not in it.
std::string show_tags(const TagsTask& task);

}  // namespace hardmoe
