#include "base/recorded.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/json.h"
#include "base/text.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// A field of stage.json that has the same type whatever command wrote it.
struct StageField {
  const char* name;
  bool (Json::*is_valid)() const noexcept;
  const char* type;
};
constexpr std::array stage_fields = {
    StageField{"command", &Json::is_string, "text"},
    StageField{"version", &Json::is_string, "text"},
    StageField{"machine", &Json::is_string, "text"},
    StageField{"done", &Json::is_boolean, "boolean"},
    StageField{"seconds", &Json::is_number, "number"},
    StageField{"inputs", &Json::is_object, "object"},
    StageField{"results", &Json::is_object, "object"},
    StageField{"outputs", &Json::is_object, "object"},
    StageField{"crc32c", &Json::is_object, "object"},
    StageField{"kept", &Json::is_object, "object"},
    StageField{"clearing", &Json::is_array, "list"},
    StageField{"warnings", &Json::is_array, "list"},
};

[[noreturn]] void fail_damaged(const std::string& where, const std::string& found,
                               const std::string& expected) {
  fail(
      "{}: {} is no {}; put a whole copy back, or remove its folder and run the command that wrote "
      "it again",
      where, found, expected);
}

/// Throws Error unless the values of a list, or of an object's fields, are texts.
void require_texts(const Json& record, const char* name, const std::string& where) {
  const auto found = record.find(name);
  if (found == record.end() || std::ranges::all_of(*found, &Json::is_string)) return;
  fail_damaged(where, fmt::format("a value in field '{}'", name), "text");
}

/// Throws Error if a name in the field leads out of the folder: names are of files in it, such as
/// "model.yaml" or "experts/0/model.yaml".
void require_names_inside(const Json& record, const char* field, const std::string& where) {
  const auto found = record.find(field);
  if (found == record.end()) return;
  for (const auto& [path, ignored] : found->items()) {
    for (const std::string& name : split(path, '/')) require_plain_name(name, where);
  }
}

/// Throws Error unless the record's fields, as far as it has them, are of their types.
void check_stage_record(const Json& record, const std::string& where) {
  if (!record.is_object()) fail_damaged(where, "what it holds", "object");
  for (const auto& [name, is_valid, type] : stage_fields) {
    const auto found = record.find(name);
    if (found == record.end() || ((*found).*is_valid)()) continue;
    fail_damaged(where, fmt::format("field '{}'", name), type);
  }
  for (const char* name : {"outputs", "crc32c", "kept", "clearing", "warnings"}) {
    require_texts(record, name, where);
  }
  for (const char* name : {"outputs", "crc32c"}) require_names_inside(record, name, where);
}

}  // namespace

Checksums checksums_of_file(const fs::path& file) {
  constexpr size_t piece = size_t{1} << 18;  // still in the cache when the second checksum reads it
  const MappedFile mapped(file);
  const auto bytes = mapped.bytes();
  Sha256 sha256;
  uint32_t crc = 0;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    const auto block = bytes.subspan(at, std::min(piece, bytes.size() - at));
    sha256.update(block.data(), block.size());
    crc = crc32c(block.data(), block.size(), crc);
  }
  return {sha256.hex(), crc};
}

std::optional<uint32_t> parse_crc32c(const Json& text, const std::string& where) {
  if (text.is_null()) return std::nullopt;
  const std::string digits = text.is_string() ? text.get<std::string>() : text.dump();
  uint32_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, value, 16);
  if (error == std::errc() && rest == end && digits.size() == 8) return value;
  fail("{}: '{}' is no CRC-32C of eight hexadecimal digits", where, digits);
}

std::string format_crc32c(uint32_t crc) { return fmt::format("{:08x}", crc); }

void require_crc32c(const fs::path& file, uint32_t found, const std::string& expected,
                    const std::string& remedy) {
  if (format_crc32c(found) == expected) return;
  fail("{}: damaged since it was written: its CRC-32C is {}, recorded was {}; {}", file.string(),
       format_crc32c(found), expected, remedy);
}

Json read_stage_record(const fs::path& file) {
  const std::string where = file.string();
  Json record = read_json(file);
  require_json_format(stage_format, record, where);
  // A command that reports nothing may have written so.
  if (record.contains("results") && record["results"].is_null()) record["results"] = Json::object();
  check_stage_record(record, where);
  return record;
}

std::optional<RecordedFile> recorded(const fs::path& file, UnfinishedStage unfinished) {
  const fs::path record_file = file.parent_path() / "stage.json";
  if (!path_exists(record_file)) return std::nullopt;
  const std::string where = record_file.string();
  const Json record = read_stage_record(record_file);
  const auto command = json_get<std::string>(record, "command", where);
  if (!json_get<bool>(record, "done", where)) {
    if (unfinished == UnfinishedStage::allowed && !record.contains("clearing")) return {};
    fail("{}: not finished; run the same `{}` again to resume it", file.parent_path().string(),
         command);
  }
  const std::string name = file.filename().string();
  const auto outputs = json_get<Json>(record, "outputs", where);
  if (!outputs.contains(name)) return std::nullopt;
  const Json crcs = record.value("crc32c", Json::object());
  return RecordedFile{
      file, json_get<std::string>(outputs, name.c_str(), where),
      parse_crc32c(crcs.value(name, Json()), where),
      fmt::format("remove {} and run `{}` again", file.parent_path().string(), command)};
}

void require_as_recorded(const fs::path& file) {
  if (const auto record = recorded(file)) require_as_recorded(*record);
}

void require_as_recorded(const RecordedFile& recorded) {
  if (recorded.crc32c) {
    const MappedFile mapped(recorded.file);
    if (crc32c(mapped.bytes().data(), mapped.bytes().size()) == *recorded.crc32c) return;
  }
  require_sha256(recorded, sha256_of_file(recorded.file));
}

void require_sha256(const RecordedFile& recorded, const std::string& found) {
  if (found == recorded.sha256) return;
  fail(
      "{}: damaged or replaced since it was made: its SHA-256 is {}, recorded was {}; put a whole "
      "copy back, or {}",
      recorded.file.string(), found, recorded.sha256, recorded.remedy);
}

void require_plain_name(const std::string& name, const std::string& where) {
  const bool control =
      std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 32; });
  if (!name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
      !control)
    return;
  fail("{}: names {}, expected a plain name that leads out of no folder", where, Json(name).dump());
}

}  // namespace hardmoe
