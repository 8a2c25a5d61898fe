// Tags and truth of an image as a JSON object or a text tells them. Of one source, so that all its
// objects are read alike.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/sources/source.h"
#include "ingest/sources/tag_column.h"

namespace hardmoe {

class MetadataReader {
 public:
  explicit MetadataReader(const SourceOptions& options);

  /// Objects and texts of the source, or a sample of them; damaged ones are passed over.
  void look_at_json(std::string_view text);
  void look_at_text(std::string_view text);
  /// After the last of them, before anything is read. Tells what was found.
  void decide(SourceReport& report);

  /// Reads tags and truth of a JSON object into the item, and returns it; tells faults in the item.
  Json read_json(std::string_view text, SourceItem& item) const;
  /// The tags of a text beside an image.
  void read_text(std::string_view text, SourceItem& item) const;

 private:
  std::optional<std::vector<std::string>> read_fields(const Json& value,
                                                      const std::vector<std::string>& names,
                                                      SourceItem& item) const;
  std::vector<std::string> read_strings(const Json& value, const std::string& field,
                                        SourceItem& item) const;

  SourceOptions options_;
  std::vector<std::string> tags_, truth_;     ///< names of fields
  std::map<std::string, TagColumn> columns_;  ///< how fields are read that are texts, by name
  TagColumn texts_;
};

/// Whether the text is UTF-8; the item is refused where it is not.
bool require_utf8(std::string_view text, SourceItem& item);
/// Refuses an item of more tags or more truth than most_tags and most_tag_bytes, and one with a tag
/// that could not be decoded.
void check_tags(SourceItem& item);

/// Tags and truth that are numbers become the `names` of those numbers, where there are any. A
/// number beyond them refuses the item.
void name_labels(const std::vector<std::string>& names, SourceItem& item);

/// The tag of a label's text: where that is a number and there are `names`, the one of that number.
/// Tells faults in the item.
void read_label(std::string_view text, const std::vector<std::string>& names, SourceItem& item);

/// One object or text alone: for a source that holds nothing to compare it with.
Json read_json_metadata(std::string_view text, const SourceOptions& options, SourceItem& item);
void read_tag_text(std::string_view text, const SourceOptions& options, SourceItem& item);

/// "no field 'tags' among 'image', 'labels'; …": an object has none of `names`, which --columns
/// gives as `what`.
std::string missing_field(const Json& value, std::string_view what,
                          const std::vector<std::string>& names);

}  // namespace hardmoe
