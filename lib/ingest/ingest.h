// Images with tags in whatever form → a dataset (see dataset.h). Every image is decoded once; the
// result depends on the sources and options, never on the number of threads nor on interruptions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "image/codec.h"
#include "ingest/sources/source.h"

namespace hardmoe {

enum class ShardStorage {
  automatic,  ///< tars are indexed where they are unless images are resized; the rest is copied,
              ///< and so are the tars' images of formats that are rewritten as PNG
  copy,       ///< everything is written to DIR/shards, so that the dataset stands alone
};

enum class Duplicates {
  drop,  ///< of images with the same bytes the first stays, with the tags of all
  keep,
};

struct IngestOptions {
  std::vector<std::string> sources;      ///< see source.h
  std::vector<std::string> val_sources;  ///< become split "val"; read first
  SourceOptions source;
  std::filesystem::path out;
  double val_fraction = 0;  ///< or this share of the sources' images does, chosen by key and seed
  int resize = 0;           ///< short side in pixels, never enlarged; 0: the original bytes
  ShardStorage storage = ShardStorage::automatic;
  Duplicates duplicates = Duplicates::drop;
  /// Images whose perceptual_hash differs by so many bits at most are dropped, too; -1: not
  /// looked at.
  int near_duplicates = -1;
  int64_t max_pixels = hardmoe::max_pixels;     ///< a larger image is left out without decoding it
  int min_size = 0;                             ///< pixels of the short side
  double max_aspect = 0;                        ///< long side over short side; 0: any
  int64_t min_tag_count = 1;                    ///< images a tag must be on
  int64_t max_tags = 0;                         ///< most frequent tags kept; 0: all
  std::filesystem::path stop_tags, merge_tags;  ///< see load_tag_rules
  /// A dataset, or its tags.tsv, whose tags are the vocabulary, in its order; others are dropped.
  std::filesystem::path vocabulary;
  double max_bad = 0.01;  ///< share of unreadable items that is an error
  uint64_t seed = 1;
  int workers = 0;      ///< threads that read and decode; 0: one a processor
  bool strict = false;  ///< what is passed over is an error
  bool retry_failed = false;
  bool force = false;
  int64_t shard_bytes = int64_t{256} << 20;  ///< of a written shard, about
  double checkpoint_seconds = 2;             ///< what a killed run loses at most; 0: an item
};

struct IngestResult {
  bool was_done = false;  ///< an earlier run with the same inputs had finished
  /// {"splits": {…}, "rejected": {…}, "tags": {…}, "passed_over": {kind: {count, examples}}}
  Json counts;
};

/// Makes the dataset, as stage "moe-ingest" of folder `out`. An image of the training split needs a
/// tag of the vocabulary, one of another split a tag or truth tag of it; the vocabulary is the
/// training split's. Whatever is not kept is listed in DIR/rejected.jsonl, and DIR/status.npy has a
/// byte an item, in the order of DIR/inputs.tsv (`Rejection`, 0: kept). A killed run goes on where
/// its last checkpoint was. With retry_failed, items that could not be read are read again, also
/// those of a finished run, and appended.
/// Throws Error(usage) for wrong options or changed inputs (with the difference; unless all there
/// is in `out` is a run that failed) and for sources without images or tags, Error(interrupted)
/// after SIGTERM, Error if `strict` and something is passed over, if a tar is damaged, if more than
/// max_bad of the items are unreadable, or if no image or no tag is left.
IngestResult ingest(const IngestOptions& options);

/// How each source is understood, for people: kind, columns and separators, some items with their
/// tags, and what is passed over. Nothing is written. Throws as ingest() for what cannot be opened.
std::string describe_sources(const IngestOptions& options);

/// The counts of the dataset in `out` as text for people.
std::string ingest_table(const Json& counts, const std::filesystem::path& out);

}  // namespace hardmoe
