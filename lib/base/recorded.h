// What a finished stage wrote, as those who read it compare it: stage.json beside a file says its
// checksums. Every file that one stage reads of another goes through here, whole or in passing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/format_number.h"
#include "base/json.h"

namespace hardmoe {

/// Both of one reading.
struct Checksums {
  std::string sha256;   ///< in hexadecimal, as `sha256sum` prints it
  uint32_t crc32c = 0;  ///< see base/crc32c.h
};
Checksums checksums_of_file(const std::filesystem::path& file);

struct RecordedFile {
  std::filesystem::path file;
  std::string sha256;              ///< what it should have
  std::optional<uint32_t> crc32c;  ///< the same; older stages recorded none
  std::string remedy;              ///< if it has not: after "put a whole copy back, or …"
};

/// What a stage.json says. Throws Error naming the file for a newer format than is known.
Json read_stage_record(const std::filesystem::path& file);
/// Its format, for who writes it.
inline constexpr FileFormat stage_format{"stage", 1};

enum class UnfinishedStage {
  refused,
  allowed,  ///< its files are not recorded yet
};

/// What stage.json in the file's folder says of it; none where no stage wrote it. Throws Error
/// where the stage is not finished, unless that is allowed; one that is being removed never is.
std::optional<RecordedFile> recorded(const std::filesystem::path& file,
                                     UnfinishedStage unfinished = UnfinishedStage::refused);

/// Throws Error unless the file is as its stage recorded it, naming what was found, what was
/// expected and what to do. Reads all of it, at the speed of its CRC-32C.
void require_as_recorded(const std::filesystem::path& file);
void require_as_recorded(const RecordedFile& recorded);
/// Throws that error where the file's SHA-256, which is known to be `found`, is another.
void require_sha256(const RecordedFile& recorded, const std::string& found);

/// "e3069283" as the number it stands for; none for `text` of null. Throws Error naming `where`.
std::optional<uint32_t> parse_crc32c(const Json& text, const std::string& where);
std::string format_crc32c(uint32_t crc);
/// Throws Error naming the file, both, and the remedy unless `found` is what was recorded.
void require_crc32c(const std::filesystem::path& file, uint32_t found, const std::string& expected,
                    const std::string& remedy);

/// Throws Error naming `where` unless `name`, as a file names a part of its folder, is a plain
/// name: one that leads nowhere else.
void require_plain_name(const std::string& name, const std::string& where);

}  // namespace hardmoe
