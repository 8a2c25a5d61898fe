// One k-means iteration as files have it.
#pragma once

#include <string>

#include "base/json.h"
#include "cluster/kmeans.h"

namespace hardmoe {

/// Without the seconds: partition.json's checksum is the partition's identity, the same wherever it
/// is made.
Json iteration_json(const KMeansIteration& iteration);

/// Throws Error naming `where` and what is missing.
KMeansIteration parse_iteration(const Json& json, const std::string& where);

}  // namespace hardmoe
