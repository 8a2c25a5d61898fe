// How the texts of one column hold tags: separated by some character, or as lists in text form.
// Found for the whole column, so that 'golden retriever' is one tag if its neighbours use commas.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/sources/source.h"

namespace hardmoe {

/// Limits on the tags of one image and on their bytes together; an image with more is rejected.
inline constexpr size_t most_tags = 10'000;
inline constexpr size_t most_tag_bytes = size_t{1} << 18;

/// Learns how a column holds tags, then reads them.
class TagColumn {
 public:
  /// `name`: the column in messages, such as "column 'tags'". `separator`: the characters given by
  /// --tag-separator; "": found by decide(). `numbers_have_names`: --label-names was given.
  explicit TagColumn(std::string name, std::string separator = "", bool numbers_have_names = false);

  /// Learns from a text of the column, or of a sample of it.
  void look_at(std::string_view cell);

  /// Decides how texts are read. Call it after the last look_at() and before the first read().
  ///
  /// The texts are lists if 99 % of them are. Otherwise the separator is the one of ',', ';' and
  /// '|' that is in most texts, if it is in at least 1 % (among equals ';' before '|' before ',');
  /// line ends separate too. If there is none, blanks separate tags.
  void decide();

  /// Reports what was decided, and what remains doubtful.
  void report_to(SourceReport& report) const;

  /// Appends the text's tags, at most most_tags + 1. Returns why the text cannot be read, or "". A
  /// quoted list is read as a list in any column; a text that is no list among lists, or the
  /// reverse, is a fault.
  std::string read(std::string_view cell, std::vector<std::string>& tags) const;

 private:
  static constexpr std::array<char, 4> candidates = {';', '|', ',', '\n'};
  using Mask = size_t;  ///< which of the candidates a text contains, one bit each

  int64_t texts() const;  ///< number of texts that are not certainly lists
  int64_t with(size_t candidate, Mask without = 0) const;
  std::string examples(size_t candidate, Mask without) const;
  void split(std::string_view text, std::vector<std::string>& tags) const;

  std::string name_, asked_;
  bool numbers_have_names_;
  std::array<int64_t, 16> counts_ = {};  ///< number of texts by mask, without certain lists
  std::array<std::vector<std::string>, 16> examples_;
  int64_t sure_lists_ = 0, bare_lists_ = 0, numbers_ = 0, with_blanks_ = 0;
  std::string example_list_, example_blanks_;
  bool is_lists_ = false;
  std::string separators_;  ///< as decided; "": blanks
  size_t chosen_ = candidates.size();
};

}  // namespace hardmoe
