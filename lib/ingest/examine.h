// Examines one item of a source in a worker thread: reads, cleans, decodes, resizes. For ingest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "image/codec.h"
#include "ingest/ingest.h"
#include "ingest/sources/source.h"
#include "ingest/splits.h"
#include "ingest/vocabulary.h"

namespace hardmoe {

/// An examined item.
struct Examined {
  SourceItem item;
  std::vector<std::string> tags, truth;  ///< cleaned
  MappedFile file;                       ///< holds the image's bytes if it is a file
  /// The image encoded anew: resized, or as PNG in place of a foreign format; else empty.
  std::string rewritten;
  ImageFormat format = ImageFormat::jpeg;
  uint64_t content = 0;  ///< the first 64 bits of the SHA-256 of the image's bytes

  uint64_t perceptual_hash = 0;  ///< if near duplicates are looked for

  /// Returns the encoded image as the source has it.
  std::string_view original() const;
};

/// Examines item `number` of a source for the split `from`. Faults are stored in item.rejection, not
/// thrown; an item that is_left_out() is not looked at further.
Examined examine(const Source& source, SplitNumber from, int64_t number,
                 const IngestOptions& options, const TagRules& rules);

}  // namespace hardmoe
