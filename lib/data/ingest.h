// Images with tags in whatever form → a dataset (see dataset.h). Every image is decoded once; the
// result depends on the sources and options, never on the number of threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace hardmoe {

enum class ShardStorage {
  automatic,  ///< tars are indexed where they are unless images are resized; the rest is copied
  copy,       ///< everything is written to DIR/shards, so that the dataset stands alone
};

struct IngestOptions {
  std::vector<std::string> sources;      ///< see source.h
  std::vector<std::string> val_sources;  ///< become split "val"
  std::filesystem::path out;
  double val_fraction = 0;  ///< or this share of the sources' images does, chosen by key and seed
  int resize = 0;           ///< short side in pixels, never enlarged; 0: the original bytes
  ShardStorage storage = ShardStorage::automatic;
  int64_t min_tag_count = 1;                    ///< images a tag must be on
  int64_t max_tags = 0;                         ///< most frequent tags kept; 0: all
  std::filesystem::path stop_tags, merge_tags;  ///< see load_tag_rules
  double max_bad = 0.01;                        ///< share of unreadable items that is an error
  uint64_t seed = 1;
  bool force = false;
  int64_t shard_bytes = int64_t{256} << 20;  ///< of a written shard, about
};

struct IngestResult {
  bool was_done = false;  ///< an earlier run with the same inputs had finished
  Json counts;            ///< {"splits": {…}, "rejected": {…}, "tags": {…}}
};

/// Makes the dataset, as stage "moe-ingest" of folder `out`. An image of the training split needs a
/// tag of the vocabulary, one of another split a tag or truth tag of it; the vocabulary is the
/// training split's. Whatever is not kept is listed in DIR/rejected.jsonl. Throws Error(usage) for
/// wrong options or changed inputs, Error(interrupted) after SIGTERM, Error if a tar is damaged, if
/// more than max_bad of the items are unreadable, or if no image or no tag is left.
IngestResult ingest(const IngestOptions& options);

/// The counts as text for people.
std::string ingest_table(const Json& counts);

}  // namespace hardmoe
