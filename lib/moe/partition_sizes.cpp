#include "moe/partition_sizes.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/log.h"

namespace hardmoe {

void warn_if_unequal(const Partition& partition) {
  if (partition.balanced) return;
  const bool by_tag = partition.config.method == PartitionMethod::top_tag;
  const auto [least, most] = std::ranges::minmax(partition.sizes);
  log_warning("parts of {} to {} images are not all within the tolerance of {}: {}", least, most,
              partition.config.tolerance,
              by_tag ? "tags are not split" : "many images have nearly equal embeddings");
}

void warn_of_small(const Partition& partition) {
  const auto mean = static_cast<int64_t>(partition.assignment.size() / partition.sizes.size());
  std::string empty, small;
  for (size_t k = 0; k < partition.sizes.size(); ++k) {
    const int64_t size = partition.sizes[k];
    std::string& list = size == 0 ? empty : small;
    if (2 * size < mean || size == 0) {
      list += fmt::format("{}{}", list.empty() ? "" : ", ", k);
      if (size > 0) list += fmt::format(" ({})", size);
    }
  }
  if (!empty.empty()) {
    log_warning("experts without any image, which cannot be trained: {}; ask for fewer --experts",
                empty);
  }
  if (!small.empty()) {
    log_warning("experts with less than half of the mean of {} images: {}", mean, small);
  }
}

}  // namespace hardmoe
