// moe-ingest: images with tags → a data set; and looking at what one is made from or at what it has
// become.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "tasks/config.h"

namespace hardmoe {

struct IngestTask {
  std::filesystem::path out;  ///< folder of the data set
  bool retry_failed = false;  ///< read again only what could not be read
  bool force = false;         ///< as Stage::Options::force
};

/// Makes the data set, or finds it done, warns of what is not in it, and returns its counts as a
/// table. Throws as ingest().
std::string make_dataset(const IngestTask& task, const Config& config);

/// How each source is understood and what would be passed over, for people; writes nothing.
std::string preview_dataset(const IngestTask& task, const Config& config);

/// Compares a data set with its checksums and its images with its index, and hands `print` the
/// faults, or a line of what was looked at. Throws Error where there are faults.
void verify(const std::filesystem::path& dataset,
            const std::function<void(const std::string&)>& print);

}  // namespace hardmoe
