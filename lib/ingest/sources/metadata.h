// Reads an image's tags and ground truth from a JSON object or a text. One reader serves one
// source, so that all its objects are read alike.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/sources/source.h"
#include "ingest/sources/tag_column.h"

namespace hardmoe {

/// Learns how a source's fields hold tags, then reads them.
class MetadataReader {
 public:
  explicit MetadataReader(const SourceOptions& options);

  /// Learns from an object or text of the source, or of a sample of it; ignores damaged ones.
  void look_at_json(std::string_view text);
  void look_at_text(std::string_view text);
  /// Decides how fields are read, and reports it. Call it after all look_at_… and before any
  /// read_….
  void decide(SourceReport& report);

  /// Reads tags and truth of a JSON object into the item, and returns the object. Faults are stored
  /// in the item.
  Json read_json(std::string_view text, SourceItem& item) const;
  /// Reads the tags of a text beside an image.
  void read_text(std::string_view text, SourceItem& item) const;

 private:
  std::optional<std::vector<std::string>> read_fields(const Json& value,
                                                      const std::vector<std::string>& names,
                                                      SourceItem& item) const;
  std::vector<std::string> read_strings(const Json& value, const std::string& field,
                                        SourceItem& item) const;

  SourceOptions options_;
  std::vector<std::string> tags_, truth_;     ///< names of fields
  std::map<std::string, TagColumn> columns_;  ///< by field name: how fields that are texts are read
  TagColumn texts_;
};

/// Returns whether the text is UTF-8; if not, the item is rejected.
bool require_utf8(std::string_view text, SourceItem& item);
/// Rejects an item with more tags or truth than most_tags or most_tag_bytes allow, or with a tag
/// that could not be decoded.
void check_tags(SourceItem& item);

/// Replaces tags and truth that are numbers by the `names` of those numbers, if there are names. A
/// number beyond them rejects the item.
void name_labels(const std::vector<std::string>& names, SourceItem& item);

/// Reads the tag of a label's text: if it is a number and there are `names`, that number's name.
/// Faults are stored in the item.
void read_label(std::string_view text, const std::vector<std::string>& names, SourceItem& item);

/// Read one object or text alone, for sources that hold no others to learn from.
Json read_json_metadata(std::string_view text, const SourceOptions& options, SourceItem& item);
void read_tag_text(std::string_view text, const SourceOptions& options, SourceItem& item);

/// Returns a sentence for an object that has none of the fields `names`, which --columns gives as
/// `what`: "no field 'tags' among 'image', 'labels'; …".
std::string missing_field(const Json& value, std::string_view what,
                          const std::vector<std::string>& names);

}  // namespace hardmoe
