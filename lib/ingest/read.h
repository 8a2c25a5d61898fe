// The first half of an ingest: examines the items of all sources in threads and puts them in order
// into shards and OUT/work. For ingest.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "ingest/examine.h"
#include "ingest/known_hashes.h"
#include "ingest/work.h"

namespace hardmoe {

/// A source and the numbers of its items.
struct PlannedSource {
  SourceSpec spec;
  SplitNumber split;
  int64_t items = 0;
  uint64_t first = 0;  ///< the number of its first item among all sources' items
};

/// Returns whether an unreadable item is a file of its own, which can be repaired and tried again.
bool is_in_file(const SourceItem& item, SourceKind kind);

/// Reads the sources of one ingest.
class IngestReader {
 public:
  /// Plans the reading, validation sources first, so that an image in both splits stays in
  /// validation. `found`: the report on how names became sources; the sources' own reports are
  /// added. Logs warnings. Throws Error if `options.strict` and something is passed over.
  IngestReader(const IngestOptions& options, const TagRules& rules, IngestWork& work,
               std::filesystem::path standard_input, const std::vector<SourceSpec>& train_sources,
               const std::vector<SourceSpec>& val_sources, SourceReport found);

  /// Continues where `work` stands, and returns when everything is read. Throws Error(interrupted)
  /// after SIGTERM, Error for damaged sources or more than max_bad unreadable items; another call
  /// continues from there.
  void read();

  /// Throws Error(usage), saying what was looked for and what was found, if no training source has
  /// images with tags; warns if only some have none. Call it after read().
  void check_sources();

  int64_t total() const { return total_; }
  /// Returns what was passed over in all sources, by kind.
  const std::map<std::string, PassedOver>& passed_over() const { return found_.passed_over; }

 private:
  void plan();
  std::unique_ptr<Source> open(const PlannedSource& source) const;
  void recall();
  void read_source(size_t number, Progress& progress);
  void read_again();
  void take(Examined& examined, const PlannedSource& source, uint64_t item, int64_t& position);
  void take_item(Examined& examined, const PlannedSource& source, uint64_t item);
  bool is_duplicate(const Examined& examined, SplitNumber split, std::string& detail);
  ImageLocation location_of(Examined& examined, SplitNumber split, const std::string& key);
  void add_row(const Examined& examined, const ImageLocation& location, SplitNumber split,
               const std::string& key, uint64_t item);
  void reject(const SourceItem& item, const PlannedSource& source, SplitNumber split,
              uint64_t number);
  void check_unreadable();
  int64_t first_unusable(const PlannedSource& source);
  std::string unique_key(const std::string& key);
  uint32_t number_of(const std::string& tag);
  void register_tars(const Source& source);
  void close_tars(const Source& source);
  bool in_place() const;
  void try_checkpoint();
  void checkpoint_now_and_then();

  const IngestOptions& options_;
  const TagRules& rules_;
  IngestWork& work_;
  std::filesystem::path standard_input_;
  std::vector<PlannedSource> sources_;
  SourceReport found_;
  int64_t total_ = 0;
  KnownHashes contents_, keys_;
  std::unordered_map<std::string, uint32_t> tag_numbers_;
  std::unordered_map<std::string, uint16_t> tar_shards_;  ///< by absolute path
  std::unordered_map<uint64_t, int> copies_;  ///< images with a key, for the next one's suffix
  uint32_t rows_ = 0;
  double last_checkpoint_ = 0;
  bool consistent_ = true;  ///< whether what is written agrees with the position
};

}  // namespace hardmoe
