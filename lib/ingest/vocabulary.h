// Tags as users wrote them → tags as the vocabulary counts them.
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

/// Case folded and normalised (NFKC_Casefold, text.h), leading '#' stripped, white space trimmed
/// and collapsed to one blank. Empty if nothing is left or the text is not UTF-8.
std::string clean_tag(std::string_view raw);

/// What becomes of cleaned tags: stopped ones vanish, merged ones take their canonical name.
struct TagRules {
  std::unordered_set<std::string> stop;
  std::unordered_map<std::string, std::string> merge;
};

/// `stop_file`: a tag a line. `merge_file`: lines "from<TAB>to", chains followed. Empty paths: no
/// such rules. Lines that begin with "# " and blank lines are passed over. Throws Error(usage)
/// naming the line of a merge that has no tab, contradicts another, or runs in a circle.
TagRules load_tag_rules(const std::filesystem::path& stop_file,
                        const std::filesystem::path& merge_file);

/// An image's tags: cleaned, ruled, without repetitions, in the order they were given.
std::vector<std::string> clean_tags(const std::vector<std::string>& raw, const TagRules& rules);

/// The tags of at least `min_count` images, most frequent first and by name where equal; the first
/// `max_tags` of them (0: all).
Vocabulary build_vocabulary(const std::unordered_map<std::string, int64_t>& counts,
                            int64_t min_count, int64_t max_tags);

}  // namespace hardmoe
