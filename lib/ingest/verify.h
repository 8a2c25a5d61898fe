// Whether a dataset on disk is what its records say. Reads all of it; Dataset::open reads headers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace hardmoe {

struct Verification {
  int64_t images = 0, shards = 0, bytes = 0;  ///< bytes: of the shards
  std::vector<std::string> faults;  ///< a sentence each, naming the file; none: all is well
};

/// Compares every shard, index file and list with its SHA-256; looks whether shards that were
/// written are numbered without a gap and no other file is among them; whether each image is a
/// member of its shard and begins as an image does; whether tags are of the vocabulary, and as
/// often as it says. Throws Error if the dataset cannot be opened at all, Error(interrupted) after
/// SIGTERM.
Verification verify_dataset(const std::filesystem::path& folder);

/// The faults, a line each; or, where there are none, a line of what was looked at.
std::string describe(const Verification& found, const std::filesystem::path& folder);

}  // namespace hardmoe
