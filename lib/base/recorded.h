// Compares the files of a finished stage with the checksums in the stage.json beside them. Every
// file that one stage reads of another is compared by these functions, at once or while it is read.
// Not for a stage's own work: see base/stage.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/format_number.h"
#include "base/json.h"

namespace hardmoe {

/// Both checksums of a file, computed in one pass.
struct Checksums {
  std::string sha256;   ///< in hexadecimal, as `sha256sum` prints it
  uint32_t crc32c = 0;  ///< see base/crc32c.h
};
/// Reads a file and returns its checksums.
Checksums checksums_of_file(const std::filesystem::path& file);

/// A file as a stage recorded it.
struct RecordedFile {
  std::filesystem::path file;
  std::string sha256;              ///< the recorded one
  std::optional<uint32_t> crc32c;  ///< the recorded one; older stages recorded none
  std::string remedy;              ///< advice in errors, after "put a whole copy back, or "
};

/// Reads a stage.json. Throws Error naming the file if its format is newer than this version, if a
/// field that every stage has, as far as it is there, is of another type (see base/stage.h), or if
/// an output's name leads out of the folder. What is in `inputs` and `results` is not checked.
Json read_stage_record(const std::filesystem::path& file);
/// The format of stage.json.
inline constexpr FileFormat stage_format{"stage", 1};

/// Whether a stage that is not finished may be read.
enum class UnfinishedStage {
  refused,
  allowed,  ///< its files have no record yet
};

/// Returns what stage.json in the file's folder records of it; nothing if there is no record of it.
/// Throws Error if the stage is not finished, unless that is allowed; then returns nothing, but
/// still throws if --force is removing the stage's files.
std::optional<RecordedFile> recorded(const std::filesystem::path& file,
                                     UnfinishedStage unfinished = UnfinishedStage::refused);

/// Throws Error unless the file is as its stage recorded it, naming what was found, what was
/// expected and what to do. Accepts a file of which nothing is recorded. Reads the whole file and
/// compares its CRC-32C, which is faster, if one is recorded, else its SHA-256.
void require_as_recorded(const std::filesystem::path& file);
/// The same for a file whose record was already read.
void require_as_recorded(const RecordedFile& recorded);
/// Throws the same error unless `found`, the file's SHA-256, is the recorded one.
void require_sha256(const RecordedFile& recorded, const std::string& found);

/// Parses a CRC-32C such as "e3069283"; returns nothing if `text` is null. Throws Error naming
/// `where` for anything else.
std::optional<uint32_t> parse_crc32c(const Json& text, const std::string& where);
/// Returns a CRC-32C as eight hexadecimal digits.
std::string format_crc32c(uint32_t crc);
/// Throws Error naming the file, both checksums and the remedy, unless `found` is `expected`.
void require_crc32c(const std::filesystem::path& file, uint32_t found, const std::string& expected,
                    const std::string& remedy);

/// Throws Error naming `where` unless `name`, by which a record names a file of its folder, is a
/// plain name that leads nowhere else.
void require_plain_name(const std::string& name, const std::string& where);

}  // namespace hardmoe
