// moe-ingest: images with tags → a data set; previews its sources, and verifies it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "tasks/config.h"

namespace hardmoe {

/// What moe-ingest is to do.
struct IngestTask {
  std::filesystem::path out;  ///< folder of the data set
  bool retry_failed = false;  ///< read only items again that were unreadable
  bool force = false;         ///< see Stage::Options::force
};

/// Makes the data set unless it is done, warns of what was left out, and returns its counts as a
/// table. Throws as ingest() does.
std::string make_dataset(const IngestTask& task, const Config& config);

/// Returns how each source is understood and what would be passed over, for people. Writes nothing.
std::string preview_dataset(const IngestTask& task, const Config& config);

/// Compares a data set with its checksums, and its images with its index. Passes the faults, or a
/// line of what was compared, to `print`. Throws Error if there are faults.
void verify(const std::filesystem::path& dataset,
            const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
