// Turns tags as users wrote them into tags as the vocabulary counts them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "data/dataset.h"

namespace hardmoe {

/// Returns a tag case folded and normalised (NFKC_Casefold, text.h), without leading '#', white
/// space trimmed and collapsed to single blanks. Returns "" if nothing is left or it is not UTF-8.
std::string clean_tag(std::string_view raw);

/// What happens to cleaned tags: stop tags are dropped, merged tags take their canonical name.
struct TagRules {
  std::unordered_set<std::string> stop;
  std::unordered_map<std::string, std::string> merge;
};

/// Reads the rules. `stop_file` has one tag a line, `merge_file` lines "from<TAB>to", whose chains
/// are followed. An empty path means no such rules. Blank lines and lines that begin with "# " are
/// ignored. Throws Error(usage) naming the line of a merge that has no tab, contradicts another, or
/// closes a circle.
TagRules load_tag_rules(const std::filesystem::path& stop_file,
                        const std::filesystem::path& merge_file);

/// Returns an image's tags cleaned, with the rules applied, without repetitions, in their order.
std::vector<std::string> clean_tags(const std::vector<std::string>& raw, const TagRules& rules);

/// Returns the tags of at least `min_count` images, most frequent first, equally frequent ones by
/// name; at most `max_tags` of them (0: all).
Vocabulary build_vocabulary(const std::unordered_map<std::string, int64_t>& counts,
                            int64_t min_count, int64_t max_tags);

}  // namespace hardmoe
