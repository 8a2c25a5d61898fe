// The second half of an ingest: what was read, in OUT/work, becomes the vocabulary and the index.
// Streams the rows; memory is what the tags and their names take, and a byte an item. For
// ingest.cpp.
#pragma once

#include "ingest/ingest.h"
#include "ingest/work.h"

namespace hardmoe {

/// Writes tags.tsv, the splits' folders, status.npy, rejected.jsonl and dataset.json, and returns
/// the counts for the table. Throws Error if no tag, or no image of a split, is left.
Json write_index(const IngestOptions& options, IngestWork& work);

}  // namespace hardmoe
