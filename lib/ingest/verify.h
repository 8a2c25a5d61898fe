// Verifies that a dataset on disk is what its records say. Reads all of it; Dataset::open reads
// only headers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace hardmoe {

/// What was verified, and the faults.
struct Verification {
  int64_t images = 0, shards = 0, bytes = 0;  ///< bytes: of the shards
  std::vector<std::string> faults;  ///< one sentence each, naming the file; none: all is well
};

/// Compares every shard, index file and list with its SHA-256. Checks that written shards are
/// numbered without gaps and no other files are among them, that each image is a member of its
/// shard and begins as an image does, and that tags are in the vocabulary as often as it says.
/// Throws Error if the dataset cannot be opened at all, Error(interrupted) after SIGTERM.
Verification verify_dataset(const std::filesystem::path& folder);

/// Returns the faults, one a line, or a line saying what was verified if there are none.
std::string describe(const Verification& found, const std::filesystem::path& folder);

}  // namespace hardmoe
