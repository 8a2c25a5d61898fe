// moe-tags: shows a data set's vocabulary, for choosing stop tags and merges.
#pragma once

#include <filesystem>
#include <string>

namespace hardmoe {

/// What moe-tags is to do.
struct TagsTask {
  std::string dataset;  ///< folder of moe-ingest
  std::string tag;      ///< show the other tags of its images; empty: no
  /// Files for suggestions, in the form that moe-ingest reads; "-": return them; empty: none.
  std::filesystem::path stop_tags, merge_tags;
  std::filesystem::path wordnet = "/usr/share/wordnet";
  int top = 20;  ///< rows of a table
};

/// Returns text for people: the tags beside `tag`, and the suggestions for "-"; if neither is asked
/// for, the vocabulary and its long tail. Throws Error(usage) if the vocabulary lacks the tag or
/// `top` is negative.
std::string show_tags(const TagsTask& task);

}  // namespace hardmoe
