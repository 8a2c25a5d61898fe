// 64-bit hashes already met, with the number of the row each belongs to: 15 bytes a hash for up to
// as many as announced. For ingest: two contents whose hashes agree by chance (one pair expected in
// a set of six billion) are taken for the same.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace hardmoe {

class KnownHashes {
 public:
  /// `most`: how many will be added at most.
  explicit KnownHashes(int64_t most)
      : hashes_(static_cast<size_t>(most + most / 4 + 16)), rows_(hashes_.size()) {}

  /// The row a hash was added with.
  std::optional<uint32_t> find(uint64_t hash) const {
    const size_t at = place(hash);
    return hashes_[at] == 0 ? std::nullopt : std::optional(rows_[at]);
  }

  /// False if it was there already.
  bool add(uint64_t hash, uint32_t row) {
    const size_t at = place(hash);
    if (hashes_[at] != 0) return false;
    hashes_[at] = hash == 0 ? 1 : hash;
    rows_[at] = row;
    return true;
  }

 private:
  /// Where the hash is or would be, by linear probing.
  size_t place(uint64_t hash) const {
    if (hash == 0) hash = 1;  // 0 marks a free place
    size_t at = hash % hashes_.size();
    while (hashes_[at] != 0 && hashes_[at] != hash) at = at + 1 == hashes_.size() ? 0 : at + 1;
    return at;
  }

  std::vector<uint64_t> hashes_;
  std::vector<uint32_t> rows_;
};

}  // namespace hardmoe
