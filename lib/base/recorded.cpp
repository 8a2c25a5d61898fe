#include "base/recorded.h"

#include <algorithm>
#include <charconv>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/files.h"
#include "base/folders.h"
#include "base/json.h"

namespace hardmoe {
namespace fs = std::filesystem;
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
  Json record = read_json(file);
  require_json_format(stage_format, record, file.string());
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
      parse_crc32c(crcs.is_object() ? crcs.value(name, Json()) : Json(), where),
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
