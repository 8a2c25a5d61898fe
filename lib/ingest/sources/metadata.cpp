#include "ingest/sources/metadata.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/foreign_json.h"
#include "base/printable.h"
#include "base/text.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {
namespace {

void refuse(SourceItem& item, std::string why) {
  item.rejection = Rejection::unreadable_tags;
  item.detail = std::move(why);
}

/// Returns why an object has no tags.
std::string missing_tags(const Json& value, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (value.contains(name)) return fmt::format("field '{}' is empty", name);
  }
  return missing_field(value, "tags", names);
}

std::vector<std::string> or_usual(const std::vector<std::string>& names, const char* usual) {
  return names.empty() ? std::vector<std::string>{usual} : names;
}

}  // namespace

MetadataReader::MetadataReader(const SourceOptions& options)
    : options_(options),
      tags_(or_usual(options.columns.tags, "tags")),
      truth_(or_usual(options.columns.truth, "truth")),
      texts_("texts beside images", options.tag_separator, !options.label_names.empty()) {
  for (const auto* names : {&tags_, &truth_}) {
    for (const auto& name : *names) {
      columns_.emplace(name, TagColumn(fmt::format("field '{}'", name), options.tag_separator,
                                       !options.label_names.empty()));
    }
  }
}

void MetadataReader::look_at_json(std::string_view text) {
  Json value;
  try {
    value = parse_foreign_json(text);
  } catch (const Error&) {
    return;  // reported when it is read
  }
  if (!value.is_object()) return;
  for (auto& [name, column] : columns_) {
    const auto field = value.find(name);
    if (field == value.end() || !field->is_string()) continue;
    column.look_at(field->get_ref<const std::string&>());
  }
}

void MetadataReader::look_at_text(std::string_view text) { texts_.look_at(text); }

void MetadataReader::decide(SourceReport& report) {
  for (auto& [name, column] : columns_) {
    column.decide();
    column.report_to(report);
  }
  texts_.decide();
  texts_.report_to(report);
}

/// Reads a list of strings, or a text that holds several.
std::vector<std::string> MetadataReader::read_strings(const Json& value, const std::string& field,
                                                      SourceItem& item) const {
  std::vector<std::string> strings;
  const auto fault = [&](const Json& found) {
    refuse(item,
           fmt::format("'{}': expected a list of strings, found {}", field, found.type_name()));
  };
  if (value.is_string()) {
    std::string why = columns_.at(field).read(value.get_ref<const std::string&>(), strings);
    if (!why.empty()) refuse(item, std::move(why));
    return strings;
  }
  if (value.is_number()) return {value.dump()};
  if (value.is_null()) return strings;
  if (!value.is_array()) {
    fault(value);
    return strings;
  }
  for (const Json& entry : value) {
    if (entry.is_string()) {
      strings.push_back(entry.get<std::string>());
    } else if (entry.is_number()) {
      strings.push_back(entry.dump());
    } else if (!entry.is_null()) {
      fault(entry);
    }
  }
  return strings;
}

/// Returns the strings of all fields of these names; nothing if there is no such field.
std::optional<std::vector<std::string>> MetadataReader::read_fields(
    const Json& value, const std::vector<std::string>& names, SourceItem& item) const {
  std::optional<std::vector<std::string>> strings;
  for (const auto& name : names) {
    const auto field = value.find(name);
    if (field == value.end()) continue;
    if (!strings) strings.emplace();
    for (auto& text : read_strings(*field, name, item)) strings->push_back(std::move(text));
  }
  return strings;
}

Json MetadataReader::read_json(std::string_view text, SourceItem& item) const {
  Json value;
  try {
    value = parse_foreign_json(text);
  } catch (const Error& error) {
    refuse(item, error.what());
    return value;
  }
  if (!value.is_object()) {
    refuse(item, fmt::format("expected a JSON object, found {}", value.type_name()));
    return value;
  }
  if (auto tags = read_fields(value, tags_, item)) item.tags = std::move(*tags);
  item.truth = read_fields(value, truth_, item);
  if (item.rejection == Rejection::none) check_tags(item);
  read_exif_text(value, item);
  if (item.rejection == Rejection::none && item.tags.empty()) {
    item.detail = missing_tags(value, tags_);
  }
  return value;
}

void MetadataReader::read_text(std::string_view text, SourceItem& item) const {
  if (!require_utf8(text, item)) return;
  std::string why = texts_.read(text, item.tags);
  if (!why.empty()) return refuse(item, std::move(why));
  check_tags(item);
}

bool require_utf8(std::string_view text, SourceItem& item) {
  const size_t valid = valid_utf8_length(text);
  if (valid == text.size()) return true;
  if (is_utf16(text)) {
    refuse(item, "UTF-16, expected UTF-8; convert it (iconv -f UTF-16 -t UTF-8)");
  } else {
    refuse(item,
           fmt::format("not UTF-8, byte 0x{:02X} in '{}'; convert it (iconv -t UTF-8)",
                       static_cast<unsigned char>(text[valid]), printable(text.substr(0, 40))));
  }
  return false;
}

void check_tags(SourceItem& item) {
  for (const auto* tags : {&item.tags, item.truth ? &*item.truth : nullptr}) {
    if (tags == nullptr) continue;
    if (tags->size() > most_tags) {
      return refuse(item, fmt::format("more than {} tags", most_tags));
    }
    size_t bytes = 0;
    for (const auto& tag : *tags) bytes += tag.size();
    if (bytes > most_tag_bytes) {
      return refuse(item,
                    fmt::format("{} bytes of tags, at most {} are read", bytes, most_tag_bytes));
    }
    for (const auto& tag : *tags) {
      if (tag.find(undecodable) == std::string::npos) continue;
      return refuse(item, fmt::format("a tag that is not Unicode text, '{}'",
                                      printable(std::string_view(tag).substr(0, 40))));
    }
  }
}

void name_labels(const std::vector<std::string>& names, SourceItem& item) {
  if (names.empty()) return;
  for (auto* labels : {&item.tags, item.truth ? &*item.truth : nullptr}) {
    if (labels == nullptr) continue;
    for (auto& label : *labels) {
      size_t number = 0;
      const char* end = label.data() + label.size();
      if (std::from_chars(label.data(), end, number).ptr != end) continue;
      if (number >= names.size()) {
        return refuse(item, fmt::format("label {} of {} (--label-names)", number, names.size()));
      }
      label = names[number];
    }
  }
}

void read_label(std::string_view text, const std::vector<std::string>& names, SourceItem& item) {
  const std::string_view label = trim(text);
  if (!require_utf8(label, item) || label.empty()) return;
  if (names.empty()) {
    item.tags.emplace_back(label);
    return;
  }
  size_t number = 0;
  const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), number);
  if (error == std::errc() && end == label.data() + label.size() && number < names.size()) {
    item.tags.push_back(names[number]);
    return;
  }
  item.rejection = Rejection::unreadable_tags;
  item.detail = fmt::format("label '{}', expected 0 to {} (--label-names has {} names)",
                            printable(label.substr(0, 40)), names.size() - 1, names.size());
}

Json read_json_metadata(std::string_view text, const SourceOptions& options, SourceItem& item) {
  MetadataReader reader(options);
  SourceReport unsaid;
  reader.look_at_json(text);
  reader.decide(unsaid);
  return reader.read_json(text, item);
}

void read_tag_text(std::string_view text, const SourceOptions& options, SourceItem& item) {
  MetadataReader reader(options);
  SourceReport unsaid;
  reader.look_at_text(text);
  reader.decide(unsaid);
  reader.read_text(text, item);
}

std::string missing_field(const Json& value, std::string_view what,
                          const std::vector<std::string>& names) {
  std::vector<std::string> there;
  constexpr size_t shown = 16;
  for (const auto& [name, field] : value.items()) {
    if (there.size() <= shown) there.push_back(name);
  }
  const std::string near = names.size() == 1 ? nearest_name(names[0], there) : "";
  const bool more = there.size() > shown;
  if (more) there.resize(shown);
  return fmt::format("no field '{}' among '{}'{}{}; name it by --columns {}=NAME",
                     join(names, "' or '"), join(there, "', '"), more ? " …" : "",
                     near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near), what);
}

}  // namespace hardmoe
