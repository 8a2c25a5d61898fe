// How the texts of one column hold tags: what separates them, or that they are lists as text. Found
// for the whole column, so that 'golden retriever' is one tag where its neighbours use commas.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/sources/source.h"

namespace hardmoe {

/// More tags of one image, or more bytes of them together, and it is refused.
inline constexpr size_t most_tags = 10'000;
inline constexpr size_t most_tag_bytes = size_t{1} << 18;

class TagColumn {
 public:
  /// `name`: as messages call it, "column 'tags'". `separator`: the characters asked for by
  /// --tag-separator; "": found by decide(). `numbers_have_names`: by --label-names.
  explicit TagColumn(std::string name, std::string separator = "", bool numbers_have_names = false);

  /// A text of the column, or of a sample of it.
  void look_at(std::string_view cell);

  /// After the last look_at(), before the first read().
  ///
  /// The texts are lists where 99 % of them are. Else ',', ';' or '|' separates tags, whichever is
  /// in most texts, if that is 1 % of them or more (where equal, ';' before '|' before ','); ends
  /// of lines do, too. Where none is, blanks do.
  void decide();

  /// What was decided, and what it leaves doubtful.
  void report_to(SourceReport& report) const;

  /// Appends the text's tags, most_tags + 1 at most. Returns why it cannot be read, "" if it can. A
  /// list with quotes is read as such in any column; what is no list among lists, or the other way
  /// round, is a fault.
  std::string read(std::string_view cell, std::vector<std::string>& tags) const;

 private:
  static constexpr std::array<char, 4> candidates = {';', '|', ',', '\n'};
  using Mask = size_t;  ///< which of the candidates are in a text, a bit each

  int64_t texts() const;  ///< that are not surely lists
  int64_t with(size_t candidate, Mask without = 0) const;
  std::string examples(size_t candidate, Mask without) const;
  void split(std::string_view text, std::vector<std::string>& tags) const;

  std::string name_, asked_;
  bool numbers_have_names_;
  std::array<int64_t, 16> counts_ = {};  ///< of texts by mask, sure lists left out
  std::array<std::vector<std::string>, 16> examples_;
  int64_t sure_lists_ = 0, bare_lists_ = 0, numbers_ = 0, with_blanks_ = 0;
  std::string example_list_, example_blanks_;
  bool is_lists_ = false;
  std::string separators_;  ///< decided; "": blanks
  size_t chosen_ = candidates.size();
};

}  // namespace hardmoe
