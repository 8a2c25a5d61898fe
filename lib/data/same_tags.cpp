#include "data/same_tags.h"

#include <algorithm>

#include "base/text.h"

namespace hardmoe {

std::string warning_of_same_tags(const Dataset& dataset) {
  if (!dataset.has_split("train")) return "";
  const Split& split = dataset.split("train");
  if (split.size() == 0) return "";
  const auto first = split.tags(0);
  for (int64_t item = 1; item < split.size(); ++item) {
    if (!std::ranges::equal(split.tags(item), first)) return "";
  }
  if (first.empty()) {
    return fmt::format(
        "{}: none of the {} images to train on has a tag, so that there is nothing to learn",
        dataset.folder().string(), split.size());
  }
  constexpr size_t most_named = 5;
  std::vector<std::string> names;
  for (const int32_t tag : first) {
    if (names.size() == most_named) {
      names.emplace_back("…");
      break;
    }
    names.push_back(fmt::format("'{}'", dataset.vocabulary().tags[static_cast<size_t>(tag)]));
  }
  return fmt::format(
      "{0}: all {1} images to train on have the same tag{2}, {3}, so that there is nothing to "
      "learn; "
      "see where moe-ingest took tags from (its --columns and --format), or add images with others",
      dataset.folder().string(), split.size(), first.size() == 1 ? "" : "s", join(names, ", "));
}

}  // namespace hardmoe
