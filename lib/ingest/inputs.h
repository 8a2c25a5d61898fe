// What an ingest is made from, as a list that is kept beside the dataset: a changed one is refused
// with the difference. For ingest.cpp.
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

/// The sources that the options name, those for validation in `found_val`: what --val-source names,
/// or else what lies beside the training sources as its own split. Throws as expand_sources().
FoundSources find_sources(const IngestOptions& options, const StandardInput& input);

/// A line a file: split, kind, path, bytes, and what tells another content: the time of last change
/// for tars, fingerprint_of_file for the rest, the SHA-256 for standard input. Of images in folders
/// the path only: one that could not be read may be put in order and tried again.
std::string list_inputs(const std::vector<SourceSpec>& train, const std::vector<SourceSpec>& val,
                        const SourceOptions& options, const StandardInput& input);

/// "added a.tar", "changed b.jsonl (120 bytes, was 118)" …; empty if the lists are the same.
std::vector<std::string> differences_of_inputs(const std::string& was, const std::string& is);

}  // namespace hardmoe
