// Makes a dataset (see data/dataset.h) from images with tags in many forms. Every image is decoded
// once. The result depends on sources and options, never on the number of threads or interruptions.
// Not for reading a dataset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "image/codec.h"
#include "ingest/sources/source.h"

namespace hardmoe {

/// Where images are stored.
enum class ShardStorage {
  automatic,  ///< tars are indexed in place unless images are resized; other images are copied
  copy,       ///< all images are written to DIR/shards, so that the dataset stands alone
};

/// What happens to images with the same bytes.
enum class Duplicates {
  drop,  ///< the first one stays, with the tags of all
  keep,
};

/// The options of moe-ingest.
struct IngestOptions {
  std::vector<std::string> sources;      ///< for the training split; see sources/source.h
  std::vector<std::string> val_sources;  ///< for the split "val"; read first
  SourceOptions source;
  std::filesystem::path out;
  double val_fraction = 0;  ///< share of images moved to "val", chosen by key and seed
  int resize = 0;           ///< short side in pixels, never enlarged; 0: the original bytes
  ShardStorage storage = ShardStorage::automatic;
  Duplicates duplicates = Duplicates::drop;
  /// Drop images whose perceptual_hash differs from an earlier one's by at most this many bits; -1:
  /// do not compare.
  int near_duplicates = -1;
  int64_t max_pixels = hardmoe::max_pixels;     ///< larger images are left out without decoding
  int min_size = 0;                             ///< shortest allowed short side, in pixels
  double max_aspect = 0;                        ///< largest long side / short side; 0: any
  int64_t min_tag_count = 1;                    ///< images a tag must be on to be kept
  int64_t max_tags = 0;                         ///< most frequent tags kept; 0: all
  std::filesystem::path stop_tags, merge_tags;  ///< see load_tag_rules
  /// A dataset or tags.tsv whose tags are the vocabulary, in that order; other tags are dropped.
  std::filesystem::path vocabulary;
  double max_bad = 0.01;  ///< share of unreadable items above which the ingest fails
  uint64_t seed = 1;
  int workers = 0;                           ///< threads that read and decode; 0: one a processor
  bool strict = false;                       ///< fail if anything is passed over
  bool retry_failed = false;                 ///< read items again that were unreadable
  bool force = false;                        ///< begin anew
  int64_t shard_bytes = int64_t{256} << 20;  ///< approximate size of written shards
  double checkpoint_seconds = 2;             ///< most work a killed run loses; 0: one item
};

/// What an ingest did.
struct IngestResult {
  bool was_done = false;  ///< an earlier run with the same inputs had finished already
  /// {"splits": {…}, "rejected": {…}, "tags": {…}, "passed_over": {kind: {count, examples}}}
  Json counts;
};

/// Makes the dataset, as stage "moe-ingest" of the folder `out`. An image of the training split
/// must have a tag of the vocabulary, one of another split a tag or a ground-truth tag of it; the
/// vocabulary is made from the training split. Every item that is not kept is listed in
/// DIR/rejected.jsonl, and DIR/status.npy has a byte for each item, in the order of DIR/inputs.tsv
/// (`Rejection`, 0: kept). A killed run continues from its last checkpoint. With retry_failed,
/// unreadable items are read again, even after a finished run, and appended.
///
/// Throws Error(usage) for wrong options, for sources without images or tags, and for changed
/// inputs, naming the difference (unless `out` holds only a failed run). Throws Error(interrupted)
/// after SIGTERM. Throws Error if `strict` and something is passed over, if a tar is damaged, if
/// more than max_bad of the items are unreadable, or if no image or no tag remains.
IngestResult ingest(const IngestOptions& options);

/// Returns for people how each source is understood: kind, columns and separators, some items with
/// their tags, and what is passed over. Writes nothing. Throws as ingest() does for sources that
/// cannot be opened.
std::string describe_sources(const IngestOptions& options);

/// Returns the counts of the dataset in `out` as text for people.
std::string ingest_table(const Json& counts, const std::filesystem::path& out);

}  // namespace hardmoe
