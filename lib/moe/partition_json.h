// Pieces of partition.json, which checkpoints and stages also have.
#pragma once

#include <string>

#include "base/json.h"
#include "cluster/kmeans.h"
#include "moe/partition.h"

namespace hardmoe {

/// Returns the iteration without its seconds: partition.json's checksum identifies the partition,
/// and must be the same on every machine.
Json iteration_json(const KMeansIteration& iteration);

/// Parses iteration_json's result. Throws Error naming `where` and the field that is missing.
KMeansIteration parse_iteration(const Json& json, const std::string& where);

/// Returns what an earlier partition's experts decided.
Json rerouting_json(const Rerouting& rerouting);

}  // namespace hardmoe
