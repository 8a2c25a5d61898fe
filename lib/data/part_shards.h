// A dataset's images laid out anew so that each part of the training split, an expert's, lies in
// shards of its own: a machine that trains one part needs the index and that part's shards only.
// Items keep their numbers and order, and the dataset its fingerprint, so that what was made from
// one layout goes with the other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/dataset.h"

namespace hardmoe {

struct PartShardsResult {
  int64_t images = 0, bytes = 0, shards = 0;
  int64_t reused = 0;  ///< shards found finished by an interrupted call
};

/// Writes into `folder` shards/part-00000-000000.tar …, each of about `shard_bytes` at most, and
/// for other splits shards/SPLIT-000000.tar …; the index; dataset.json last. parts: the items of
/// the training split, each in exactly one part. Shards that an interrupted call left there are not
/// written again, if their contents are those. Throws Error where a file cannot be written, and
/// on SIGTERM or SIGINT.
PartShardsResult write_part_shards(const Dataset& dataset,
                                   const std::vector<std::vector<int64_t>>& parts,
                                   const std::filesystem::path& folder, int64_t shard_bytes);

/// What it writes, for Stage::Options::writes.
std::vector<std::string> part_shard_files();

}  // namespace hardmoe
