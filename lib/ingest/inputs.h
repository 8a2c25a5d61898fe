// The list of an ingest's inputs, which is kept beside the dataset so that changed inputs are
// refused with the difference. For ingest.cpp.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "ingest/ingest.h"

namespace hardmoe {

/// What came on standard input, in a file without a name beside the dataset, which is gone with the
/// process; no file where no source is '-'.
class StandardInput {
 public:
  /// Throws Error(usage) if '-' is named twice.
  explicit StandardInput(const IngestOptions& options);
  /// Where it can be opened from within this process.
  const std::filesystem::path& file() const { return file_; }

 private:
  TemporaryFile copy_;
  std::filesystem::path file_;
};

/// Finds the sources that the options name. Those for validation are in `found_val`: the ones
/// --val-source names, or else the validation splits that lie beside training sources. Throws as
/// expand_sources() does.
FoundSources find_sources(const IngestOptions& options, const StandardInput& input);

/// Returns a line for each file: split, kind, path, bytes, and what identifies its content: the
/// modification time for tars, the SHA-256 for standard input, fingerprint_of_file for the rest.
/// For images in folders only the path, so that an unreadable one can be repaired and tried again.
std::string list_inputs(const std::vector<SourceSpec>& train, const std::vector<SourceSpec>& val,
                        const SourceOptions& options, const StandardInput& input);

/// Returns the differences, such as "added a.tar", "changed b.jsonl (120 bytes, was 118)".
std::vector<std::string> differences_of_inputs(const std::string& was, const std::string& is);

}  // namespace hardmoe
