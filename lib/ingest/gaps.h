// What is not in a dataset though it was asked for: for people who do not see ingest's table, as
// under moe-run, whose stages write to logs.
#pragma once

#include <string>
#include <vector>

#include "ingest/ingest.h"

namespace hardmoe {

/// Sentences to warn with, of the dataset that `options` made with these `counts`: items that are
/// left out though no option asks for that, a split 'val' that was to be chosen and is empty, and
/// warning_of_same_tags.
std::vector<std::string> ingest_gaps(const IngestOptions& options, const Json& counts);

}  // namespace hardmoe
