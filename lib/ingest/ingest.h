// Images with tags in whatever form → a dataset (see dataset.h). Every image is decoded once; the
// result depends on the sources and options, never on the number of threads nor on interruptions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "ingest/ingest_config.h"

namespace hardmoe {

/// The settings, and how this run is made.
struct IngestOptions : IngestConfig {
  std::filesystem::path out;
  uint64_t seed = 1;
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
