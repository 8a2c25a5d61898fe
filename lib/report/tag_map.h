// The map of tags × parts, for the sections that show what experts hold.
#pragma once

#include <optional>

#include "data/dataset.h"
#include "draw/charts.h"
#include "report/statistics.h"

namespace hardmoe {

/// Returns how many times as often as everywhere tags occur in each of the first `parts` parts, for the
/// tags that stand out most in some part; nothing if none occurs more often than by chance.
std::optional<HeatMap> tag_map(ChartTitle title, const Vocabulary& vocabulary,
                               const TagCounts& counts, int64_t parts);

}  // namespace hardmoe
