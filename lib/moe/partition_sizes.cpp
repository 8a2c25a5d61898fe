#include "moe/partition_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "base/log.h"
#include "base/text.h"
#include "cluster/equal_points.h"

namespace hardmoe {
namespace {

void warn_of_equal(const Partition& partition) {
  const auto images = std::ssize(partition.assignment), groups = std::ssize(partition.equal_rows);
  const int64_t largest = partition.equal_rows.front();
  const int64_t all =
      std::accumulate(partition.equal_rows.begin(), partition.equal_rows.end(), int64_t{0});
  const PartitionConfig& config = partition.config;
  const int64_t most = most_balanced_parts(images, largest, config.tolerance);
  auto others = partition.sizes;
  std::sort(others.begin(), others.end());
  others.resize(others.size() - std::min(others.size() - 1, partition.equal_rows.size()));
  log_warning(
      "{} of {} images ({:.1f}%) have equal embeddings{}, more than one of {} experts may have "
      "within the tolerance of {}: {}, and the other experts have {} to {} images. {} can be "
      "balanced; moe-ingest --near-duplicates leaves out copies of a picture",
      largest, images, 100 * static_cast<double>(largest) / static_cast<double>(images),
      groups == 1 ? "" : fmt::format(" (and {} in {} groups)", all, groups), config.experts,
      config.tolerance,
      groups == 1 ? "one expert has them all" : "each group has an expert of its own",
      others.front(), others.back(),
      most == 1 ? "No two experts" : fmt::format("At most {} experts", most));
}

}  // namespace

void warn_if_unequal(const Partition& partition) {
  if (partition.balanced) return;
  const bool by_tag = partition.config.method == PartitionMethod::top_tag;
  const auto [least, most] = std::ranges::minmax(partition.sizes);
  if (!partition.equal_rows.empty()) {
    warn_of_equal(partition);
    return;
  }
  log_warning(
      "the experts' parts, {} to {} images, are not all within the tolerance of {}: {}", least,
      most, partition.config.tolerance,
      by_tag ? "all images of a tag go to one expert" : "many images have nearly equal embeddings");
}

namespace {

/// Returns the names as a list, of which the first few stand for many.
std::string list_of(const std::vector<std::string>& names) {
  constexpr size_t most = 20;
  if (names.size() <= most) return join(names, ", ");
  return join({names.begin(), names.begin() + most}, ", ") +
         fmt::format(" and {} others (partition.json has all sizes)", names.size() - most);
}

}  // namespace

void warn_of_small(const Partition& partition) {
  const auto mean = static_cast<int64_t>(partition.assignment.size() / partition.sizes.size());
  std::vector<std::string> empty, small;
  for (size_t k = 0; k < partition.sizes.size(); ++k) {
    const int64_t size = partition.sizes[k];
    if (size == 0) {
      empty.push_back(std::to_string(k));
    } else if (2 * size < mean) {
      small.push_back(fmt::format("{} ({})", k, size));
    }
  }
  if (!empty.empty()) {
    log_warning(
        "experts without any image, which cannot be trained: {}; ask for fewer with --num-experts",
        list_of(empty));
  }
  if (!small.empty()) {
    log_warning("experts with less than half of the mean of {} images: {}", mean, list_of(small));
  }
}

}  // namespace hardmoe
