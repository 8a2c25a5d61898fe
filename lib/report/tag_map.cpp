#include "report/tag_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace hardmoe {

std::optional<HeatMap> tag_map(ChartTitle title, const Vocabulary& vocabulary,
                               const TagCounts& counts, int64_t parts) {
  constexpr size_t rows_wanted = 36;
  const size_t each = std::max<size_t>(2, rows_wanted / static_cast<size_t>(parts));
  const size_t most_rows = std::max(rows_wanted, each * static_cast<size_t>(parts));
  HeatMap map{std::move(title), {}, {}, {}};
  std::vector<int32_t> tags;
  for (int64_t k = 0; k < parts; ++k) {
    map.columns.push_back(std::to_string(k));
    for (const int32_t tag : counts.most_surprising(k, each)) {
      if (tags.size() < most_rows && std::ranges::find(tags, tag) == tags.end()) {
        tags.push_back(tag);
      }
    }
  }
  if (tags.empty()) return std::nullopt;
  for (const int32_t tag : tags) {
    map.rows.push_back(vocabulary.tags.at(static_cast<size_t>(tag)));
    auto& cells = map.cells.emplace_back();
    for (int64_t k = 0; k < parts; ++k) {
      const double times = counts.over_representation(k, tag);
      // Full shade where all images with the tag are this part's.
      const double shade =
          times > 1 ? std::log(times) /
                          std::log(static_cast<double>(std::max<int64_t>(counts.parts(), 2)))
                    : 0;
      cells.push_back({fmt::format("{:.{}f}", times, times < 10 ? 1 : 0), shade});
    }
  }
  return map;
}

}  // namespace hardmoe
