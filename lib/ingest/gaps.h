// What a dataset lacks although it was asked for. For people who do not see ingest's table, as
// under moe-run, whose stages write to logs.
#pragma once

#include <string>
#include <vector>

#include "ingest/ingest.h"

namespace hardmoe {

/// Returns sentences to warn with about the dataset that `options` made with these `counts`: items
/// left out without an option that asks for it, a validation split that was asked for and is empty,
/// and warning_of_same_tags.
std::vector<std::string> ingest_gaps(const IngestOptions& options, const Json& counts);

}  // namespace hardmoe
