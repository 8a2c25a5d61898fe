#include "ingest/sources/tag_column.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "ingest/sources/list_text.h"

namespace hardmoe {
namespace {

constexpr std::string_view blanks = " \t\r\n\f\v";

/// Shortens a text for messages to one short line.
std::string shown(std::string_view text) {
  constexpr size_t longest = 40;
  if (text.size() <= longest) return printable(text);
  size_t end = longest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return printable(text.substr(0, end)) + "…";
}

std::string called(char separator) {
  return separator == '\n' ? "ends of lines" : fmt::format("'{}'", separator);
}

/// Returns 5000 as "5,000".
std::string grouped(int64_t count) {
  const std::string digits = fmt::format("{}", count);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

/// Returns whether the text contains the separator; the ';' of "&amp;" and "&#39;" does not count.
bool has(std::string_view text, char separator) {
  size_t at = text.find(separator);
  if (separator != ';') return at != std::string_view::npos;
  for (; at != std::string_view::npos; at = text.find(separator, at + 1)) {
    const size_t begin = text.find_last_of("&; ", at == 0 ? 0 : at - 1);
    if (at == 0 || begin == std::string_view::npos || text[begin] != '&' || at - begin < 3 ||
        at - begin > 8) {
      return true;
    }
  }
  return false;
}

bool is_whole_number(std::string_view text) {
  return text.size() <= 9 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

TagColumn::TagColumn(std::string name, std::string separator, bool numbers_have_names)
    : name_(std::move(name)),
      asked_(std::move(separator)),
      numbers_have_names_(numbers_have_names),
      separators_(asked_) {}

void TagColumn::look_at(std::string_view cell) {
  cell = trim(without_byte_order_mark(cell));
  if (cell.empty()) return;
  const ListText list = parse_list_text(cell, most_tags);
  if (list.kind == ListText::Kind::quoted || list.kind == ListText::Kind::broken) {
    ++sure_lists_;
    return;
  }
  if (list.kind == ListText::Kind::bare && bare_lists_++ == 0) example_list_ = shown(cell);
  if (is_whole_number(cell)) ++numbers_;
  if (cell.find_first_of(blanks) != std::string_view::npos && with_blanks_++ == 0) {
    example_blanks_ = shown(cell);
  }
  Mask mask = 0;
  for (size_t c = 0; c < candidates.size(); ++c) {
    if (has(cell, candidates[c])) mask |= Mask{1} << c;
  }
  ++counts_[mask];
  std::vector<std::string>& known = examples_[mask];
  if (mask == 0 || known.size() >= 2) return;
  std::string example = shown(cell);
  if (known.empty() || known[0] != example) known.push_back(std::move(example));
}

int64_t TagColumn::texts() const {
  return std::accumulate(counts_.begin(), counts_.end(), int64_t{0});
}

int64_t TagColumn::with(size_t candidate, Mask without) const {
  int64_t count = 0;
  for (Mask mask = 0; mask < counts_.size(); ++mask) {
    if ((mask >> candidate & 1) != 0 && (mask & without) == 0) count += counts_[mask];
  }
  return count;
}

std::string TagColumn::examples(size_t candidate, Mask without) const {
  std::vector<std::string> found;
  for (Mask mask = 0; mask < counts_.size(); ++mask) {
    if ((mask >> candidate & 1) == 0 || (mask & without) != 0) continue;
    for (const auto& example : examples_[mask]) found.push_back(fmt::format("'{}'", example));
  }
  found.resize(std::min<size_t>(found.size(), 3));
  return join(found, ", ");
}

void TagColumn::decide() {
  if (!asked_.empty()) return;
  const int64_t all = texts() + sure_lists_;
  is_lists_ = all > 0 && (bare_lists_ + sure_lists_) * 100 >= all * 99;
  if (is_lists_) return;
  const auto count = [&](size_t candidate) {
    const int64_t found = with(candidate);
    return found * 100 >= texts() ? found : 0;
  };
  constexpr size_t semicolon = 0, bar = 1, comma = 2, line_end = 3;
  const size_t rare = count(bar) > count(semicolon) ? bar : semicolon;
  if (count(rare) > 0 && count(rare) * 4 >= count(comma)) {
    chosen_ = rare;
  } else if (count(comma) > 0) {
    chosen_ = comma;
  } else if (count(line_end) > 0) {
    chosen_ = line_end;
  }
  if (chosen_ == candidates.size()) return;
  separators_ = candidates[chosen_];
  if (candidates[chosen_] != '\n') separators_ += '\n';
}

void TagColumn::report_to(SourceReport& report) const {
  const int64_t all = texts() + sure_lists_;
  if (all == 0) return;
  const auto fact = [&](const std::string& what) {
    report.facts.push_back(fmt::format("{}: {}", name_, what));
  };
  if (is_lists_) {
    fact(fmt::format("lists as text in {} of {} texts", grouped(bare_lists_ + sure_lists_),
                     grouped(all)));
    return;
  }
  if (sure_lists_ > 0)
    fact(fmt::format("lists as text in {} of {}", grouped(sure_lists_), grouped(all)));
  if (!asked_.empty()) {
    fact(fmt::format("tags separated by any of '{}' (--tag-separator)", asked_));
    return;
  }
  const bool by_blanks = chosen_ == candidates.size();
  if (!by_blanks) {
    fact(fmt::format("tags separated by {}, in {} of {} texts", called(candidates[chosen_]),
                     grouped(with(chosen_)), grouped(texts())));
  } else if (with_blanks_ == 0) {
    fact(fmt::format("a tag a text, in {} texts", grouped(texts())));
  } else {
    fact(fmt::format("tags separated by blanks, in {} of {} texts ('{}')", grouped(with_blanks_),
                     grouped(texts()), example_blanks_));
    // Such texts alone do not tell whether several words are one tag.
    report.warnings.push_back(fmt::format(
        "{}: blanks separate tags ('{}'), as no other separator is used; if each text is one tag, "
        "give --tag-separator ',', else ' '",
        name_, example_blanks_));
  }
  if (numbers_ == all && !numbers_have_names_) {
    report.warnings.push_back(fmt::format(
        "{}: numbers only, which become tags; --label-names FILE gives them names", name_));
  }
  const Mask without = by_blanks ? 0 : Mask{1} << chosen_;
  for (size_t c = 0; c < candidates.size(); ++c) {
    const int64_t alone = c == chosen_ || candidates[c] == '\n' ? 0 : with(c, without);
    // Tags separated by ';' often contain commas.
    if (alone == 0 || (!by_blanks && alone * 100 < texts())) continue;
    report.warnings.push_back(fmt::format(
        "{}: {} of {} texts have {} ({}), but {} its tags; if that is wrong, give --tag-separator",
        name_, grouped(alone), grouped(texts()),
        by_blanks ? called(candidates[c])
                  : fmt::format("{} and no {}", called(candidates[c]), called(candidates[chosen_])),
        examples(c, without),
        by_blanks ? "blanks separate" : called(candidates[chosen_]) + " separates"));
  }
  if (bare_lists_ > 0) {
    report.warnings.push_back(fmt::format(
        "{}: {} of {} texts look like lists ('{}') and the others do not: those of several "
        "elements are refused, the others are read as they stand",
        name_, grouped(bare_lists_), grouped(all), example_list_));
  }
}

std::string TagColumn::read(std::string_view cell, std::vector<std::string>& tags) const {
  cell = trim(without_byte_order_mark(cell));
  if (cell.empty()) return {};
  const ListText list = parse_list_text(cell, most_tags);
  const auto fault = [&](std::string_view why) {
    return fmt::format("{}: '{}' {}; --tag-separator CHARACTERS reads it as plain text", name_,
                       shown(cell), why);
  };
  using Kind = ListText::Kind;
  if (list.kind == Kind::broken && asked_.empty()) {
    return fault(fmt::format("begins as a list, but {}", list.fault));
  }
  if (list.kind == Kind::quoted || (list.kind == Kind::bare && is_lists_)) {
    tags.insert(tags.end(), list.elements.begin(), list.elements.end());
    return {};
  }
  if (is_lists_) return fault("is no list, as the others are");
  if (list.kind == Kind::bare && asked_.empty() && list.elements.size() > 1) {
    return fault("looks like a list, the others do not");
  }
  split(cell, tags);
  return {};
}

void TagColumn::split(std::string_view text, std::vector<std::string>& tags) const {
  const std::string_view separators = separators_.empty() ? blanks : std::string_view(separators_);
  for (size_t at = 0; at <= text.size() && tags.size() <= most_tags;) {
    const size_t end = std::min(text.find_first_of(separators, at), text.size());
    if (const auto tag = trim(text.substr(at, end - at)); !tag.empty()) tags.emplace_back(tag);
    at = end + 1;
  }
}

}  // namespace hardmoe
