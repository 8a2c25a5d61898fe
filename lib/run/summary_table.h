// The results of a finished run, for people.
#pragma once

#include <string>

#include "base/json.h"

namespace hardmoe {

/// Returns pipeline_summary()'s table as tables of at most 100 columns: precision and recall
/// against the tags and, if there is truth, against that, levers apart; then what each network
/// costs.
std::string summary_table(const Json& summary);

}  // namespace hardmoe
