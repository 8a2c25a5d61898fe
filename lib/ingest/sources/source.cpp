#include "ingest/sources/source.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "ingest/sources/kinds.h"

namespace hardmoe {

std::string lower_ascii(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

bool is_image_extension(std::string_view name) {
  constexpr std::array<std::string_view, 28> known = {
      "jpg", "jpeg", "png",  "webp", "jpe",  "jfif", "jpg_large", "gif", "bmp", "dib",
      "tif", "tiff", "apng", "avif", "heic", "heif", "jxl",       "jp2", "j2k", "jpf",
      "jpx", "j2c",  "jpc",  "ppm",  "pgm",  "pbm",  "tga",       "psd"};
  return std::find(known.begin(), known.end(), name) != known.end();
}

std::string kind_of_other_file(std::string_view name) {
  const std::string extension = lower_ascii(std::filesystem::path(name).extension().string());
  constexpr size_t longest = 12;  // a longer text is part of the name
  if (extension.size() < 2 || extension.size() > longest) return "file of no known extension";
  return fmt::format("'{}' file", printable(extension));
}

std::string safe_key(std::string_view key) {
  std::vector<std::string> names;
  for (auto& name : split(printable(key), '/')) {
    if (!trim(name).empty() && name != "." && name != "..") names.push_back(std::move(name));
  }
  if (names.empty()) return "image";
  std::replace(names.back().begin(), names.back().end(), '.', '_');
  return join(names, "/");
}

ColumnNames parse_columns(std::string_view text) {
  ColumnNames columns;
  for (const auto& column : split(text, ',')) {
    const size_t equals = column.find('=');
    const std::string what(trim(column.substr(0, equals)));
    const std::string name(equals == std::string::npos ? "" : trim(column.substr(equals + 1)));
    auto* names = what == "image"   ? &columns.image
                  : what == "tags"  ? &columns.tags
                  : what == "truth" ? &columns.truth
                  : what == "key"   ? &columns.key
                                    : nullptr;
    if (names == nullptr && !name.empty()) {
      const std::string near = nearest_name(what, {"image", "tags", "truth", "key"});
      fail_usage("--columns {}: names are image, tags, truth and key, '{}' is not one of them{}",
                 column, what, near.empty() ? "" : fmt::format("; did you mean '{}'?", near));
    }
    if (names == nullptr || name.empty()) {
      fail_usage(
          "--columns: expected image=NAME, tags=NAME, truth=NAME or key=NAME with commas "
          "between, found '{}'",
          column);
    }
    names->push_back(name);
  }
  if (columns.image.size() > 1 || columns.key.size() > 1) {
    fail_usage("--columns: 'image' and 'key' are one column each; tags and truth may be several");
  }
  return columns;
}

}  // namespace hardmoe
