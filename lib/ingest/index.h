// The second half of an ingest: makes vocabulary and index from the items read, which are in
// OUT/work. Streams the rows; keeps in memory only the tags and a byte for each item. For
// ingest.cpp.
#pragma once

#include "ingest/ingest.h"
#include "ingest/work.h"

namespace hardmoe {

/// Writes tags.tsv, the splits' folders, status.npy, rejected.jsonl and dataset.json, and returns
/// the counts for the table. Throws Error if no tag remains, or no image of a split.
Json write_index(const IngestOptions& options, IngestWork& work);

}  // namespace hardmoe
