// Makes a dataset (see data/dataset.h) from images with tags in many forms. Every image is decoded
// once. The result depends on sources and options, never on the number of threads or interruptions.
// Not for reading a dataset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "ingest/ingest_config.h"

namespace hardmoe {

/// The settings of moe-ingest, and the options of one run.
struct IngestOptions : IngestConfig {
  std::filesystem::path out;
  uint64_t seed = 1;
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

/// Makes the dataset, as stage "moe-ingest" of the folder `out`. An image of the training split, or
/// of the split "selection" cut from it, must have a tag of the vocabulary, one of "val" a tag or a
/// ground-truth tag of it; the vocabulary is made from the training split. Every item that is not
/// kept is listed in DIR/rejected.jsonl (those that `sample` leaves out are only counted), and
/// DIR/status.npy has a byte for each item, in the order of DIR/inputs.tsv
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
