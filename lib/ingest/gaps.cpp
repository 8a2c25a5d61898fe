#include "ingest/gaps.h"

#include <algorithm>
#include <array>

#include "base/json_field.h"
#include "base/text.h"
#include "data/dataset.h"
#include "data/same_tags.h"

namespace hardmoe {
namespace {

/// Returns whether an option or the data themselves ask for this rejection (see rejection_names);
/// of other image formats the ingest warns itself.
constexpr std::array<std::string_view, 7> asked_for = {
    "too small",    "too elongated", "duplicate",           "near duplicate",
    "absent label", "other format",  "left out by --sample"};

/// Returns whether an option drops tags, and with them the images that have no others.
bool leaves_tags_out(const IngestOptions& options) {
  return options.min_tag_count > 1 || options.max_tags > 0 || !options.vocabulary.empty();
}

}  // namespace

std::vector<std::string> ingest_gaps(const IngestOptions& options, const Json& counts) {
  const std::string where = (options.out / "stage.json").string();
  const Json& splits = json_object(counts, "splits", where);
  std::vector<std::string> gaps, lost;
  int64_t read = 0;
  for (const auto& [name, split] : splits.items()) {
    read += json_get_or(split, "read", int64_t{0}, where);
    const Json& rejected = json_object(split, "rejected", where);
    for (const auto& [reason, ignored] : rejected.items()) {
      if (std::ranges::find(asked_for, reason) != asked_for.end()) continue;
      if (reason == name_of(Rejection::no_kept_tag) && leaves_tags_out(options)) continue;
      const auto count = json_get<int64_t>(rejected, reason.c_str(), where);
      lost.push_back(fmt::format("{} {} ({})", count, reason, name));
    }
  }
  if (!lost.empty()) {
    gaps.push_back(fmt::format("of {} items these are not in the dataset: {}; see {}", read,
                               join(lost, ", "), (options.out / "rejected.jsonl").string()));
  }
  if (options.val_fraction > 0 && !splits.contains("val")) {
    gaps.push_back(
        fmt::format("no split 'val' to evaluate on: --val-fraction {} chose none of the {} items",
                    options.val_fraction, read));
  }
  if (options.selection_fraction > 0 && !splits.contains("selection")) {
    gaps.push_back(fmt::format(
        "no split 'selection': --selection-fraction {} chose none of the training images",
        options.selection_fraction));
  }
  const std::string same =
      options.keep_untagged ? "" : warning_of_same_tags(Dataset::open(options.out));
  if (!same.empty()) gaps.push_back(same);
  return gaps;
}

}  // namespace hardmoe
