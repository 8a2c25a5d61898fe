// A copy of a dataset sorted by a partition's experts, so that a machine that trains one expert
// needs only that expert's shards (data/part_shards.h).
#pragma once

#include <filesystem>

#include "base/json.h"

namespace hardmoe {

/// Writes `dataset` again as the dataset `out`, with expert k's training images together in
/// shards/part-000kk-*.tar. `out` is a stage of its own: a finished one is left alone, an
/// interrupted one continues. Throws Error(usage) if `partition` was made of another dataset.
void write_expert_shards(const std::filesystem::path& dataset,
                         const std::filesystem::path& partition, const std::filesystem::path& out,
                         bool force);

/// Throws Error(usage) unless the dataset's training split is the one embedded, judging by the
/// embedding's identity and its number of rows. Call it before a partition is made.
void check_shards_of(const std::filesystem::path& dataset, const Json& embedding, int64_t rows);

}  // namespace hardmoe
