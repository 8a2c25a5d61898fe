// OUT/work: what an ingest has read so far, on disk, so that it survives its process and needs no
// memory. Files only grow; state.json says how far each of them counts, and is replaced whole. For
// ingest.cpp and its parts.
//
// - rows.bin: a Row an image taken; tags.bin: its tags and truth as u32 numbers
// - keys.txt: a line a row; names.txt: a tag a line, whose number is the line's, from 0
// - united.bin: tags of dropped duplicates, for rows taken before
// - status.bin: a byte an item read (Rejection)
// - rejected-N.jsonl, retry-N.jsonl: what was rejected, and what the N-th --retry-failed reads
//   again
// - shards.jsonl: shards by number, once when begun and once when closed
// - plan.json: how many items each source has
// - run.txt: of which run all this is
// - *.unpacked, *.jsonl: compressed or joined lists
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/append_file.h"
#include "base/json.h"
#include "data/writer.h"
#include "ingest/sources/source.h"

namespace hardmoe {

enum SplitNumber : uint8_t { train = 0, val = 1 };
inline constexpr std::array<const char*, 2> split_names = {"train", "val"};

/// An image taken.
struct Row {
  uint64_t item;             ///< among all items of all sources
  uint64_t content;          ///< the first 64 bits of its bytes' SHA-256
  uint64_t perceptual_hash;  ///< 0 unless asked for
  int64_t offset;            ///< in its shard
  uint64_t key_at;           ///< in keys.txt
  uint64_t tags_at;          ///< in tags.bin, in numbers
  int32_t length;
  uint32_t tags, truth;  ///< how many of each
  uint16_t shard;
  uint8_t split;
  uint8_t has_truth;
};
static_assert(sizeof(Row) == 64);

/// A tag that a dropped duplicate had, for the row that stays.
struct UnitedTag {
  uint32_t row, tag;
  bool operator<(const UnitedTag& other) const {
    return row != other.row ? row < other.row : tag < other.tag;
  }
};
/// Set in UnitedTag::tag for a truth tag.
inline constexpr uint32_t truth_bit = uint32_t{1} << 31;

/// What is counted while reading; part of state.json.
struct IngestCounts {
  std::array<int64_t, 2> read{}, tags{};
  std::array<std::array<int64_t, rejection_names.size()>, 2> rejected{};
  int64_t renamed = 0;
  int64_t in_files = 0;  ///< of the unreadable: files of their own, which may be put right
  std::vector<std::string> first_unreadable;  ///< three, for the message

  int64_t rejected_total() const;
  int64_t unreadable() const;
};

/// Where reading goes on.
struct IngestPosition {
  int64_t source = 0, item = 0;
  int64_t attempt = 0;  ///< how often --retry-failed was asked for
  int64_t retried = 0;  ///< lines of retry-N.jsonl done
  bool all_read = false;
};

class IngestWork {
 public:
  /// Opens what an interrupted run of this identity (Stage::identity()) left in `out`/work, or
  /// begins: what another run left is removed, with a warning.
  IngestWork(std::filesystem::path out, int64_t shard_bytes, std::string run);

  /// Whether the folder holds a run that can go on, or be added to.
  static bool exists(const std::filesystem::path& out);
  /// Whether that one failed for a reason of its sources or options.
  static bool has_failed(const std::filesystem::path& out);
  static std::filesystem::path folder_in(const std::filesystem::path& out) { return out / "work"; }
  const std::filesystem::path& folder() const { return folder_; }

  IngestPosition position;
  IngestCounts counts;
  ShardList shards;
  AppendFile rows, tags, keys, names, united, status, rejected;

  bool failed = false;  ///< for has_failed()

  ShardWriter& writer(SplitNumber split) { return *writers_[split]; }

  /// Puts everything on the disk, then state.json.
  void checkpoint();
  /// Makes OUT/rejected.jsonl of what was rejected so far, for people, and returns its name.
  std::filesystem::path show_rejected();
  /// The next run begins from nothing: what was read is of no use.
  void forget() const;
  /// Whether there are items that begin_retry() would try again.
  bool has_failures() const;
  /// Items that failed, to be tried again: moves their lines of rejected.jsonl into a list, and
  /// forgets them in `counts`.
  void begin_retry();
  std::filesystem::path retry_list() const;
  std::filesystem::path rejected_list() const;

 private:
  void remove_strays() const;
  std::filesystem::path out_, folder_;
  std::string run_;
  std::array<std::unique_ptr<ShardWriter>, 2> writers_;
};

/// A line of JSON; what is not UTF-8 is replaced.
std::string json_line(const Json& value);

}  // namespace hardmoe
