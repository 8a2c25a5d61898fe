// Checks of a run before its first stage, so that mistakes are reported at once and not when a
// stage's turn comes.
#pragma once

#include <filesystem>
#include <string>

#include "tasks/config.h"

namespace hardmoe {

/// Throws Error(usage) unless one of ingest.sources and run.dataset names the data, and for a
/// setting of any section that is impossible whatever the data.
void check_settings(const Config& config);

/// Throws Error(usage) if `out` holds something that no run wrote.
void check_run_folder(const std::filesystem::path& out);

/// Throws Error(usage) if the run's dataset exists and lacks the split to evaluate on, the split
/// 'selection' where a setting needs it, or images that a lever needs.
void check_splits(const Config& config, const std::filesystem::path& out);

/// Throws Error(usage) if the external embedding to partition by and the features to evaluate with
/// do not belong together or, if the run's dataset exists, differ from its splits in the number of
/// rows.
void check_external_embedding(const Config& config, const std::filesystem::path& out);

/// Throws Error(usage) if this machine lacks a GPU that the run will need: `device`, or the last of
/// `gpus`. A child process checks, so this one holds no GPU memory during the run.
void check_devices(const std::string& device, int gpus, const std::filesystem::path& programs,
                   const std::filesystem::path& log);

}  // namespace hardmoe
