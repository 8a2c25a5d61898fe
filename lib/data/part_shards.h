// A copy of a dataset in which each part of the training split (one expert's images) lies in shards
// of its own, so that a machine that trains one expert needs only the index and that part's shards.
// Items keep their numbers and order, and the dataset its fingerprint, so results made from one
// layout can be used with the other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/dataset.h"

namespace hardmoe {

/// What was written.
struct PartShardsResult {
  int64_t images = 0, bytes = 0, shards = 0;
  int64_t reused = 0;  ///< shards that an interrupted call had finished
};

/// Writes into `folder`: shards/part-00000-000000.tar …, each of about `shard_bytes` at most; for
/// other splits shards/SPLIT-000000.tar …; the index; and last dataset.json. `parts`: the items of
/// the training split, each in exactly one part. Shards left by an interrupted call are reused if
/// their contents are right. Throws Error if a file cannot be written, Error(interrupted) on
/// SIGTERM or SIGINT.
PartShardsResult write_part_shards(const Dataset& dataset,
                                   const std::vector<std::vector<int64_t>>& parts,
                                   const std::filesystem::path& folder, int64_t shard_bytes);

/// Returns the names of what write_part_shards writes, for Stage::Options::writes.
std::vector<std::string> part_shard_files();

}  // namespace hardmoe
