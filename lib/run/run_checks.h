// What a run is asked before its stages are, so that a mistake is told at once and not when a
// stage's turn comes.
#pragma once

#include <filesystem>

#include "tasks/config.h"

namespace hardmoe {

/// Throws Error(usage) if `out` holds something that no run put there.
void check_run_folder(const std::filesystem::path& out);

/// Throws Error(usage) if the run's dataset, where it is made already, lacks the split to evaluate
/// on.
void check_evaluation_split(const Config& config, const std::filesystem::path& out);

/// Throws Error(usage) if the embedding of one's own that the run is to partition by, or its
/// features to evaluate with, are not to be used together, or, where the run's dataset is made
/// already, have other numbers of rows than its splits.
void check_own_embedding(const Config& config, const std::filesystem::path& out);

/// Throws Error(usage) where a GPU that the run will need is not here: before the first stage, not
/// when the first expert's turn comes. A process of its own looks, so that none of the GPU's memory
/// is held during the run.
void check_devices(const Config& config, const std::filesystem::path& programs,
                   const std::filesystem::path& log);

}  // namespace hardmoe
