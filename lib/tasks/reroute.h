// moe-partition --reroute: a partition and its experts → one by what these experts can do.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tasks/config.h"
#include "tasks/partition.h"

namespace hardmoe {

/// Makes the partition unless it is done and returns its description for people. `dataset`: ""
/// if none was named. Throws as make_partition does, and Error(usage) if the data set has no split
/// 'selection'.
std::string reroute_stage(const PartitionTask& task, const std::filesystem::path& dataset,
                          const std::vector<std::filesystem::path>& embedding, Config& config);

}  // namespace hardmoe
