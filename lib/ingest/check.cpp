// Checks after reading that make an ingest fail: too many unreadable items, and sources without any
// usable item.
#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "ingest/read.h"

namespace hardmoe {
namespace fs = std::filesystem;

bool is_in_file(const SourceItem& item, SourceKind kind) {
  if (item.rejection == Rejection::unreadable_tags) {
    return kind == SourceKind::folder || kind == SourceKind::photos;
  }
  switch (kind) {
    case SourceKind::webdataset:
    case SourceKind::cifar10:
    case SourceKind::cifar100:
    case SourceKind::idx:
      return false;
    default:
      return item.tar.empty();
  }
}

void IngestReader::check_unreadable() {
  const IngestCounts& counts = work_.counts;
  const int64_t unreadable = counts.unreadable(),
                read = counts.read[train] + counts.read[val] + counts.read[selection];
  constexpr int64_t few = 10000;  // so few are read to the end, to list all faults
  if (total_ <= few && read < total_) return;
  const int64_t wanted =
      total_ - counts.rejected[train][static_cast<size_t>(Rejection::not_sampled)];
  work_.failed = static_cast<double>(unreadable) > options_.max_bad * static_cast<double>(wanted);
  if (!work_.failed) return;
  const bool files = counts.in_files > 0;
  const bool others = counts.in_files < unreadable;
  fail(
      "{} of {} items{} cannot be used, which is more than {} of all {}{} (allow more by "
      "--max-bad): "
      "{}{}; see {}; {}{}{}",
      unreadable, read, read < total_ ? " read so far" : "", options_.max_bad, wanted,
      wanted < total_ ? " that --sample keeps" : "", join(counts.first_unreadable, "; "),
      unreadable > 3 ? "; …" : "", work_.show_rejected().string(),
      files ? "put the files right and read them again by --retry-failed" : "",
      files && others ? "; " : "",
      others ? "put the list or tar right and run the same command" : "");
}

/// Returns the first item of a source none of whose items has both tags and an image, or -1.
int64_t IngestReader::first_unusable(const PlannedSource& source) {
  const std::string status = work_.statuses(static_cast<int64_t>(source.first), source.items);
  int64_t first = -1;
  for (size_t i = 0; i < status.size(); ++i) {
    const auto rejection = static_cast<Rejection>(status[i]);
    if (rejection == Rejection::no_tags || rejection == Rejection::no_image) {
      if (first < 0) first = static_cast<int64_t>(i);
    } else if (rejection != Rejection::unreadable_tags && rejection != Rejection::repeated &&
               rejection != Rejection::not_sampled) {
      return -1;
    }
  }
  return first;
}

void IngestReader::check_sources() {
  std::vector<std::string> faults;
  bool usable = false;  // whether a training source is usable
  for (const PlannedSource& planned : sources_) {
    const int64_t first = first_unusable(planned);
    if (first < 0) {
      usable = usable || planned.split == train;
      continue;
    }
    const SourceItem item = examine(*open(planned), planned.split, first, options_, rules_).item;
    const auto reason =
        static_cast<Rejection>(work_.statuses(static_cast<int64_t>(planned.first) + first, 1)[0]);
    faults.push_back(printable(fmt::format(
        "no item of {} can be used: {} ({}) has {}{}{}",
        planned.spec.path == "-" ? "standard input" : planned.spec.path.string(), item.key,
        item.file, name_of(reason), item.detail.empty() ? "" : ", ", item.detail)));
  }
  if (faults.empty()) return;
  if (usable) {
    log_warning("some of the sources are of no use:{}", indented_list(faults));
    return;
  }
  const fs::path list = work_.show_rejected();
  work_.forget();
  fail_usage("{}; see {}", faults.back(), list.string());  // the last one is a training source
}

}  // namespace hardmoe
