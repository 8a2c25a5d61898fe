// OUT/work: what an ingest has read so far, on disk, so that it survives its process and needs no
// memory. Files only grow, except state.json, which is replaced whole and records how much of each
// file is valid. For ingest.cpp, read.cpp and index.cpp.
//
// - rows.bin: a Row for each image; tags.bin: its tags and truth as u32 numbers
// - keys.txt: a line for each row; names.txt: a tag a line, numbered by the line, from 0
// - united.bin: tags of dropped duplicates, for the rows that stay
// - status.bin: a byte for each item read (Rejection); changed.bin: items that --retry-failed gave
//   another one, a ChangedStatus each, the last one counts
// - rejected-N.jsonl, retry-N.jsonl: rejected items, and those that the N-th --retry-failed reads
//   again
// - shards.jsonl: shards by number, one line when begun and one when closed
// - plan.json: the number of items of each source
// - run.txt: the run that all this belongs to
// - *.unpacked, *.jsonl: decompressed or joined lists
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/append_file.h"
#include "base/json.h"
#include "data/writer.h"
#include "ingest/sources/source.h"
#include "ingest/splits.h"

namespace hardmoe {

/// An image that is kept.
struct Row {
  uint64_t item;             ///< its number among all items of all sources
  uint64_t content;          ///< the first 64 bits of its bytes' SHA-256
  uint64_t perceptual_hash;  ///< 0 unless asked for
  int64_t offset;            ///< in its shard
  uint64_t key_at;           ///< offset in keys.txt
  uint64_t tags_at;          ///< index in tags.bin of its first number
  int32_t length;
  uint32_t tags, truth;  ///< numbers of tags and of truth tags
  uint16_t shard;
  uint8_t split;
  uint8_t has_truth;
};
static_assert(sizeof(Row) == 64);

/// A tag of a dropped duplicate, for the row that stays.
struct UnitedTag {
  uint32_t row, tag;
  bool operator<(const UnitedTag& other) const {
    return row != other.row ? row < other.row : tag < other.tag;
  }
};
/// The bit of UnitedTag::tag that marks a truth tag.
inline constexpr uint32_t truth_bit = uint32_t{1} << 31;

/// An item that was read again.
struct ChangedStatus {
  uint64_t item, status;
};

/// Counts kept while reading; part of state.json.
struct IngestCounts {
  std::array<int64_t, all_splits.size()> read{}, tags{};
  std::array<std::array<int64_t, rejection_names.size()>, all_splits.size()> rejected{};
  int64_t renamed = 0;
  int64_t in_files = 0;  ///< unreadable items that are files of their own, which may be repaired
  std::vector<std::string> first_unreadable;  ///< the first three, for the message

  /// Returns the number of rejected items; those that --sample leaves out are none.
  int64_t rejected_total() const;
  int64_t unreadable() const;
};

/// The position at which reading continues.
struct IngestPosition {
  int64_t source = 0, item = 0;
  int64_t attempt = 0;  ///< number of --retry-failed runs so far
  int64_t retried = 0;  ///< lines of retry-N.jsonl done
  bool all_read = false;
};

/// The files of OUT/work, opened for appending.
class IngestWork {
 public:
  /// Opens what an interrupted run of this identity (Stage::identity()) left in `out`/work, or
  /// begins anew; what another run left is removed, with a warning.
  IngestWork(std::filesystem::path out, int64_t shard_bytes, std::string run);

  /// Returns whether the folder holds a run that can be continued or added to.
  static bool exists(const std::filesystem::path& out);
  /// Returns whether that run failed because of its sources or options.
  static bool has_failed(const std::filesystem::path& out);
  static std::filesystem::path folder_in(const std::filesystem::path& out) { return out / "work"; }
  const std::filesystem::path& folder() const { return folder_; }

  IngestPosition position;
  IngestCounts counts;
  ShardList shards;
  AppendFile rows, tags, keys, names, united, rejected;

  bool failed = false;  ///< see has_failed()

  /// Sets what became of an item: the next one, or one that is read again.
  void set_status(uint64_t item, Rejection status);
  /// Returns what became of `count` items from `first` on, a byte each.
  std::string statuses(int64_t first, int64_t count);
  /// Returns the number of items whose status is set.
  int64_t items() const { return status_.size(); }

  ShardWriter& writer(SplitNumber split) { return *writers_[split]; }

  /// Puts all files on the disk, then replaces state.json.
  void checkpoint();
  /// Writes OUT/rejected.jsonl, for people, from what was rejected so far, and returns its path.
  std::filesystem::path show_rejected();
  /// Makes the next run begin anew, because what was read is of no use.
  void forget() const;
  /// Returns whether there are items that begin_retry() would try again.
  bool has_failures() const;
  /// Prepares to read unreadable items again: moves their lines from the rejected list to a retry
  /// list and subtracts them from `counts`.
  void begin_retry();
  std::filesystem::path retry_list() const;
  std::filesystem::path rejected_list() const;

 private:
  void read_changes();
  void remove_strays() const;
  std::filesystem::path out_, folder_;
  AppendFile status_, changed_;
  std::map<uint64_t, char> changes_;  ///< what changed_ says
  std::string run_;
  std::array<std::unique_ptr<ShardWriter>, all_splits.size()> writers_;
};

}  // namespace hardmoe
