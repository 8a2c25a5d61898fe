// The reading half of an ingest: items of all sources, examined in threads, taken in order into
// shards and OUT/work. For ingest.cpp.
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

struct PlannedSource {
  SourceSpec spec;
  SplitNumber split;
  int64_t items = 0;
  uint64_t first = 0;  ///< number of its first item among all
};

/// Whether what cannot be read of the item is a file of its own, which can be put right and tried
/// again.
bool is_in_file(const SourceItem& item, SourceKind kind);

class IngestReader {
 public:
  /// Validation sources first: an image that is in both splits stays there.
  /// `found`: what was found when names became sources; what the sources say of themselves is
  /// added. Warnings are logged. Throws Error where `options.strict` and something is passed over.
  IngestReader(const IngestOptions& options, const TagRules& rules, IngestWork& work,
               std::filesystem::path standard_input, const std::vector<SourceSpec>& train_sources,
               const std::vector<SourceSpec>& val_sources, SourceReport found);

  /// Goes on where `work` stands, and returns when everything is read. Throws Error(interrupted)
  /// after SIGTERM, Error for damaged sources and more than max_bad unreadable items; another call
  /// goes on from there.
  void read();

  /// Afterwards. Throws Error(usage) if none of the training sources has images with tags, which
  /// says what was looked for and what was found; warns of such ones among others.
  void check_sources();

  int64_t total() const { return total_; }
  /// By kind, of all sources.
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
  ImagePlace place_of(Examined& examined, SplitNumber split, const std::string& key);
  void add_row(const Examined& examined, const ImagePlace& place, SplitNumber split,
               const std::string& key, uint64_t item);
  void reject(const SourceItem& item, const PlannedSource& source, SplitNumber split,
              uint64_t number);
  void set_status(uint64_t item, Rejection rejection);
  void check_unreadable();
  int64_t first_unusable(const PlannedSource& source);
  std::string unique_key(const std::string& key);
  uint32_t number_of(const std::string& tag);
  void register_tars(const Source& source);
  void close_tars(const Source& source);
  bool in_place() const;
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
  std::unordered_map<uint64_t, int> copies_;              ///< of a key, for the next one's suffix
  uint32_t rows_ = 0;
  double last_checkpoint_ = 0;
  bool consistent_ = true;  ///< what is written agrees with the position
};

}  // namespace hardmoe
