#include "ingest/vocabulary.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

bool is_blank(char c) {
  const auto code = static_cast<unsigned char>(c);
  return code <= ' ' || code == 0x7F;  // includes control characters
}

std::string collapse_blanks(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (!is_blank(c)) {
      result += c;
    } else if (!result.empty() && result.back() != ' ') {
      result += ' ';
    }
  }
  if (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

/// Calls take(line, number) for each line that is neither blank nor a comment.
template <class Take>
void for_each_line(const fs::path& file, const Take& take) {
  int number = 0;
  const std::string text = read_file(file);
  if (is_utf16(text)) {
    fail_usage("{}: UTF-16, expected UTF-8; convert it (iconv -f UTF-16 -t UTF-8)", file.string());
  }
  for (const auto& line : split(without_byte_order_mark(text), '\n')) {
    ++number;
    if (trim(line).empty() || line.starts_with("# ")) continue;
    take(line, number);
  }
}

/// Replaces each merge's target by the end of its chain.
void follow_chains(TagRules& rules, const fs::path& file) {
  for (auto& [from, to] : rules.merge) {
    size_t steps = 0;
    for (auto next = rules.merge.find(to); next != rules.merge.end(); next = rules.merge.find(to)) {
      to = next->second;
      if (to == from || ++steps > rules.merge.size()) {
        fail_usage("{}: the merges of '{}' run in a circle", file.string(), from);
      }
    }
  }
}

}  // namespace

std::string clean_tag(std::string_view raw) {
  const std::string text = collapse_blanks(fold_case(raw));
  const size_t begin = text.find_first_not_of("# ");
  return begin == std::string::npos ? std::string() : text.substr(begin);
}

TagRules load_tag_rules(const fs::path& stop_file, const fs::path& merge_file) {
  TagRules rules;
  if (!stop_file.empty()) {
    require_file(stop_file, "it was given by --stop-tags", ExitStatus::usage);
    for_each_line(stop_file, [&](std::string_view line, int) {
      if (auto tag = clean_tag(line); !tag.empty()) rules.stop.insert(std::move(tag));
    });
  }
  if (merge_file.empty()) return rules;
  require_file(merge_file, "it was given by --merge-tags", ExitStatus::usage);
  for_each_line(merge_file, [&](std::string_view line, int number) {
    const auto fields = split(line, '\t');
    const auto from = clean_tag(fields[0]);
    const auto to = fields.size() == 2 ? clean_tag(fields[1]) : std::string();
    if (from.empty() || to.empty()) {
      fail_usage("{}, line {}: expected two tags with a tab between, found '{}'",
                 merge_file.string(), number, line);
    }
    if (from == to) return;
    const auto [entry, added] = rules.merge.emplace(from, to);
    if (!added && entry->second != to) {
      fail_usage("{}, line {}: merges '{}' into '{}', but an earlier line into '{}'",
                 merge_file.string(), number, from, to, entry->second);
    }
  });
  follow_chains(rules, merge_file);
  return rules;
}

std::vector<std::string> clean_tags(const std::vector<std::string>& raw, const TagRules& rules) {
  std::vector<std::string> tags;
  std::unordered_set<std::string> known;
  for (const auto& text : raw) {
    std::string tag = clean_tag(text);
    if (tag.empty() || rules.stop.contains(tag)) continue;
    if (const auto merged = rules.merge.find(tag); merged != rules.merge.end()) {
      tag = merged->second;
      if (rules.stop.contains(tag)) continue;
    }
    if (known.insert(tag).second) tags.push_back(std::move(tag));
  }
  return tags;
}

Vocabulary build_vocabulary(const std::unordered_map<std::string, int64_t>& counts,
                            int64_t min_count, int64_t max_tags) {
  std::vector<std::pair<std::string, int64_t>> kept;
  for (const auto& entry : counts) {
    if (entry.second >= min_count) kept.emplace_back(entry);
  }
  std::sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  if (max_tags > 0 && static_cast<int64_t>(kept.size()) > max_tags) {
    kept.resize(static_cast<size_t>(max_tags));
  }
  Vocabulary vocabulary;
  for (auto& [tag, count] : kept) {
    vocabulary.tags.push_back(std::move(tag));
    vocabulary.counts.push_back(count);
  }
  return vocabulary;
}

}  // namespace hardmoe
