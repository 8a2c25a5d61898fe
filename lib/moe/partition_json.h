// One k-means iteration as JSON, for partition.json and checkpoints.
#pragma once

#include <string>

#include "base/json.h"
#include "cluster/kmeans.h"

namespace hardmoe {

/// Returns the iteration without its seconds: partition.json's checksum identifies the partition,
/// and must be the same on every machine.
Json iteration_json(const KMeansIteration& iteration);

/// Parses iteration_json's result. Throws Error naming `where` and the field that is missing.
KMeansIteration parse_iteration(const Json& json, const std::string& where);

}  // namespace hardmoe
