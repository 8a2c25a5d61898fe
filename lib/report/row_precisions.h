// P@1 of a run's rows with intervals, for charts.
#pragma once

#include <map>
#include <string>

#include "report/run_view.h"
#include "report/statistics.h"

namespace hardmoe {

/// By a row's key.
using RowPrecisions = std::map<std::string, MeanOfImages>;

/// Returns P@1 against `labels` of each row of the run's table with its 95% interval: of several
/// seeds mean ± 1.96 standard errors over these, of one that over images; of no extent where an
/// earlier version kept nothing of single images.
RowPrecisions precisions_of(const RunView& run, const std::string& labels);

}  // namespace hardmoe
