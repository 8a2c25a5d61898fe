// A set of 64-bit hashes, each with the number of its row; takes 15 bytes for each hash announced.
// For ingest: two contents whose hashes agree by chance (one pair is expected among six billion)
// are taken for the same.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace hardmoe {

/// The hashes met so far.
class KnownHashes {
 public:
  /// `most`: the largest number of hashes that will be added.
  explicit KnownHashes(int64_t most)
      : hashes_(static_cast<size_t>(most + most / 4 + 16)), rows_(hashes_.size()) {}

  /// Returns the row a hash was added with, or nothing.
  std::optional<uint32_t> find(uint64_t hash) const {
    const size_t at = bucket_of(hash);
    return hashes_[at] == 0 ? std::nullopt : std::optional(rows_[at]);
  }

  /// Adds a hash. Returns false if it was there already.
  bool add(uint64_t hash, uint32_t row) {
    const size_t at = bucket_of(hash);
    if (hashes_[at] != 0) return false;
    hashes_[at] = hash == 0 ? 1 : hash;
    rows_[at] = row;
    return true;
  }

 private:
  /// Returns the bucket where the hash is or would be, by linear probing.
  size_t bucket_of(uint64_t hash) const {
    if (hash == 0) hash = 1;  // 0 marks a free bucket
    size_t at = hash % hashes_.size();
    while (hashes_[at] != 0 && hashes_[at] != hash) at = at + 1 == hashes_.size() ? 0 : at + 1;
    return at;
  }

  std::vector<uint64_t> hashes_;
  std::vector<uint32_t> rows_;
};

}  // namespace hardmoe
