// A dataset laid out by a partition's experts, so that a node that trains an expert reads its
// images from one place of their own (data/part_shards.h).
#pragma once

#include <filesystem>

#include "base/json.h"

namespace hardmoe {

/// Writes the dataset `out`: the folder `dataset` again, expert k's training images together in
/// shards/part-000kk-*.tar. A stage of its own: done, it is left alone; interrupted, it goes on.
/// Throws Error(usage) if the folder `partition` was made of another dataset.
void write_expert_shards(const std::filesystem::path& dataset,
                         const std::filesystem::path& partition, const std::filesystem::path& out,
                         bool force);

/// Throws Error(usage) unless the dataset's training split is what the embedding is of, as far as
/// its identity and number of rows say: before a partition is made.
void check_shards_of(const std::filesystem::path& dataset, const Json& embedding, int64_t rows);

}  // namespace hardmoe
