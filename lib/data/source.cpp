#include "data/source.h"

#include <sys/stat.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "data/source_kinds.h"
#include "data/tags.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

std::string extension(const fs::path& path) { return lower_ascii(path.extension().string()); }

bool is_list(const fs::path& path) {
  const auto e = extension(path);
  return path == "-" || e == ".jsonl" || e == ".ndjson" || e == ".json";
}

std::vector<fs::path> tars_in(const fs::path& folder) {
  std::vector<fs::path> tars;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (extension(entry.path()) == ".tar" && entry.is_regular_file()) tars.push_back(entry.path());
  }
  std::sort(tars.begin(), tars.end());
  return tars;
}

struct FileState {
  int64_t bytes = 0;
  int64_t changed = 0;  ///< nanoseconds since 1970
};

FileState state_of(const fs::path& file) {
  struct stat info = {};
  if (::stat(file.c_str(), &info) != 0) fail("{}: cannot be read", file.string());
  return {info.st_size, int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

/// A list of strings, or a text of several.
std::vector<std::string> read_strings(const Json& value, const char* key, SourceItem& item) {
  std::vector<std::string> strings;
  const auto fault = [&](const Json& found) {
    item.rejection = Rejection::unreadable_tags;
    item.detail = fmt::format("'{}': expected a list of strings, found {}", key, found.type_name());
  };
  if (value.is_string()) return split_tag_text(value.get_ref<const std::string&>());
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

/// The length of the UTF-8 sequence at `at`, 0 if it is not one.
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(at) < 0x80                       ? 1
                        : byte(at) >= 0xC2 && byte(at) < 0xE0 ? 2
                        : (byte(at) & 0xF0) == 0xE0           ? 3
                        : byte(at) >= 0xF0 && byte(at) < 0xF5 ? 4
                                                              : 0;
  if (length == 0 || at + length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms and surrogates, which the lead byte alone does not exclude.
  if (length == 3 &&
      ((byte(at) == 0xE0 && byte(at + 1) < 0xA0) || (byte(at) == 0xED && byte(at + 1) >= 0xA0))) {
    return 0;
  }
  if (length == 4 &&
      ((byte(at) == 0xF0 && byte(at + 1) < 0x90) || (byte(at) == 0xF4 && byte(at + 1) >= 0x90))) {
    return 0;
  }
  return length;
}

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

}  // namespace

std::string lower_ascii(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

bool is_image_extension(std::string_view name) {
  return name == "jpg" || name == "jpeg" || name == "png" || name == "webp";
}

std::string safe_key(std::string_view key) {
  std::vector<std::string> parts;
  for (auto& part : split(printable(key), '/')) {
    if (!part.empty() && part != "." && part != "..") parts.push_back(std::move(part));
  }
  if (parts.empty()) return "image";
  std::replace(parts.back().begin(), parts.back().end(), '.', '_');
  return join(parts, "/");
}

void read_metadata(std::string_view text, bool is_json, SourceItem& item) {
  if (!is_json) {
    item.tags = split_tag_text(text);
    return;
  }
  const Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) {
    item.rejection = Rejection::unreadable_tags;
    item.detail = value.is_discarded() ? "not valid JSON" : "not a JSON object";
    return;
  }
  if (const auto tags = value.find("tags"); tags != value.end()) {
    item.tags = read_strings(*tags, "tags", item);
  }
  if (const auto truth = value.find("truth"); truth != value.end()) {
    item.truth = read_strings(*truth, "truth", item);
  }
}

std::vector<fs::path> expand_sources(const std::vector<std::string>& names) {
  std::vector<fs::path> sources;
  for (const auto& name : names) {
    const fs::path path(name);
    if (path == "-") {
      if (std::find(sources.begin(), sources.end(), path) != sources.end()) {
        fail_usage("standard input ('-') was named twice as a source");
      }
      sources.push_back(path);
    } else if (!fs::exists(path)) {
      fail_usage("{}: no such file or folder; name tars, .jsonl files, folders or '-'", name);
    } else if (fs::is_directory(path)) {
      const auto tars = tars_in(path);
      if (tars.empty()) sources.push_back(path);
      sources.insert(sources.end(), tars.begin(), tars.end());
    } else if (extension(path) == ".tar" || is_list(path)) {
      sources.push_back(path);
    } else {
      fail_usage(
          "{}: not a source; expected a .tar (not compressed), a .jsonl file, a folder or '-'",
          name);
    }
  }
  return sources;
}

Json source_identity(const fs::path& source, const std::string& standard_input) {
  if (source == "-") return {{"path", "-"}, {"sha256", sha256_hex(standard_input)}};
  const std::string path = printable(fs::absolute(source).lexically_normal().string());
  if (!fs::is_directory(source)) {
    const FileState state = state_of(source);
    return {{"path", path}, {"bytes", state.bytes}, {"changed", state.changed}};
  }
  std::string listing;
  const auto images = images_in(source);
  for (const auto& image : images) {
    const FileState state = state_of(source / image);
    listing += fmt::format("{}\t{}\t{}\n", image.string(), state.bytes, state.changed);
  }
  return {{"path", path}, {"images", images.size()}, {"listing", sha256_hex(listing)}};
}

std::unique_ptr<Source> open_source(const fs::path& source, const std::string& standard_input) {
  if (source == "-") return open_list(standard_input, "standard input", fs::current_path());
  if (fs::is_directory(source)) return open_folder(source);
  if (is_list(source)) return open_list(read_file(source), source.string(), source.parent_path());
  return open_webdataset(source);
}

}  // namespace hardmoe
