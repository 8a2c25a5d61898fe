#include "data/source.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "base/text.h"
#include "data/source_kinds.h"
#include "data/tags.h"
#include "data/unicode_text.h"

namespace hardmoe {
namespace {

/// A list of strings, or a text of several.
std::vector<std::string> read_strings(const Json& value, const std::string& key,
                                      const SourceOptions& options, SourceItem& item) {
  std::vector<std::string> strings;
  const auto fault = [&](const Json& found) {
    item.rejection = Rejection::unreadable_tags;
    item.detail = fmt::format("'{}': expected a list of strings, found {}", key, found.type_name());
  };
  if (value.is_string()) return split_tags(value.get_ref<const std::string&>(), options);
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

/// The strings of all fields so named; nothing if there is none.
std::optional<std::vector<std::string>> read_fields(const Json& value,
                                                    const std::vector<std::string>& names,
                                                    const char* usual, const SourceOptions& options,
                                                    SourceItem& item) {
  std::optional<std::vector<std::string>> strings;
  const auto add = [&](const std::string& name) {
    const auto field = value.find(name);
    if (field == value.end()) return;
    if (!strings) strings.emplace();
    for (auto& text : read_strings(*field, name, options, item)) {
      strings->push_back(std::move(text));
    }
  };
  if (names.empty()) add(usual);
  for (const auto& name : names) add(name);
  return strings;
}

/// Why an object has no tags.
std::string missing_tags(const Json& value, const ColumnNames& columns) {
  const auto names = columns.tags.empty() ? std::vector<std::string>{"tags"} : columns.tags;
  for (const auto& name : names) {
    if (value.contains(name)) return fmt::format("field '{}' is empty", name);
  }
  return missing_field(value, "tags", names);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t length = utf8_length(text, at);
    const auto code = static_cast<unsigned char>(text[at]);
    if (length == 0 || code < ' ' || code == 0x7F) {
      result += '_';
      ++at;
    } else {
      result += text.substr(at, length);
      at += length;
    }
  }
  return result;
}

std::string lower_ascii(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

bool is_image_extension(std::string_view name) {
  constexpr std::array<std::string_view, 23> known = {
      "jpg", "jpeg", "png", "webp", "jpe",  "jfif", "jpg_large", "gif",
      "bmp", "dib",  "tif", "tiff", "apng", "avif", "heic",      "heif",
      "jxl", "jp2",  "ppm", "pgm",  "pbm",  "tga",  "psd"};
  return std::find(known.begin(), known.end(), name) != known.end();
}

std::string kind_of_other_file(std::string_view name) {
  const std::string extension = lower_ascii(std::filesystem::path(name).extension().string());
  constexpr size_t longest = 12;  // a longer one is part of a name
  if (extension.size() < 2 || extension.size() > longest) return "file of no known extension";
  return fmt::format("'{}' file", printable(extension));
}

std::string safe_key(std::string_view key) {
  std::vector<std::string> parts;
  for (auto& part : split(printable(key), '/')) {
    if (!trim(part).empty() && part != "." && part != "..") parts.push_back(std::move(part));
  }
  if (parts.empty()) return "image";
  std::replace(parts.back().begin(), parts.back().end(), '.', '_');
  return join(parts, "/");
}

bool require_utf8(std::string_view text, SourceItem& item) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = utf8_length(text, at);
    if (length == 0) break;
    at += length;
  }
  if (at == text.size()) return true;
  item.rejection = Rejection::unreadable_tags;
  item.detail = fmt::format("not UTF-8, byte 0x{:02X} in '{}'; convert it (iconv -t UTF-8)",
                            static_cast<unsigned char>(text[at]), printable(text.substr(0, 40)));
  return false;
}

void read_tag_text(std::string_view text, const SourceOptions& options, SourceItem& item) {
  if (require_utf8(text, item)) item.tags = split_tags(text, options);
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

std::vector<std::string> split_tags(std::string_view text, const SourceOptions& options) {
  if (options.tag_separator.empty()) return split_tag_text(text);
  std::vector<std::string> tags;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find_first_of(options.tag_separator, at), text.size());
    if (const auto tag = trim(text.substr(at, end - at)); !tag.empty()) tags.emplace_back(tag);
    at = end + 1;
  }
  return tags;
}

Json read_json_metadata(std::string_view text, const SourceOptions& options, SourceItem& item) {
  Json value;
  const auto refuse = [&](std::string why) {
    item.rejection = Rejection::unreadable_tags;
    item.detail = std::move(why);
    return value;
  };
  try {
    value = Json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    return refuse(fmt::format("not valid JSON, {}", json_fault(text, error)));
  }
  if (!value.is_object()) {
    return refuse(fmt::format("expected a JSON object, found {}", value.type_name()));
  }
  if (auto tags = read_fields(value, options.columns.tags, "tags", options, item)) {
    item.tags = std::move(*tags);
  }
  item.truth = read_fields(value, options.columns.truth, "truth", options, item);
  read_exif_text(value, item);
  if (item.rejection == Rejection::none && item.tags.empty()) {
    item.detail = missing_tags(value, options.columns);
  }
  return value;
}

std::string missing_field(const Json& value, std::string_view what,
                          const std::vector<std::string>& names) {
  std::vector<std::string> there;
  for (const auto& [name, field] : value.items()) there.push_back(name);
  constexpr size_t shown = 16;
  const bool more = there.size() > shown;
  if (more) there.resize(shown);
  return fmt::format("no field '{}' among '{}'{}; name it by --columns {}=NAME",
                     join(names, "' or '"), join(there, "', '"), more ? " …" : "", what);
}

ColumnNames parse_columns(std::string_view text) {
  ColumnNames columns;
  for (const auto& part : split(text, ',')) {
    const size_t equals = part.find('=');
    const std::string what(trim(part.substr(0, equals)));
    const std::string name(equals == std::string::npos ? "" : trim(part.substr(equals + 1)));
    auto* names = what == "image"   ? &columns.image
                  : what == "tags"  ? &columns.tags
                  : what == "truth" ? &columns.truth
                  : what == "key"   ? &columns.key
                                    : nullptr;
    if (names == nullptr || name.empty()) {
      fail_usage(
          "--columns: expected image=NAME, tags=NAME, truth=NAME or key=NAME with commas "
          "between, found '{}'",
          part);
    }
    names->push_back(name);
  }
  if (columns.image.size() > 1 || columns.key.size() > 1) {
    fail_usage("--columns: 'image' and 'key' are one column each; tags and truth may be several");
  }
  return columns;
}

}  // namespace hardmoe
