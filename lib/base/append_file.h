// A file that grows and can be cut back to what a checkpoint recorded, for work that survives its
// process. Not for results: those appear whole (AtomicFile).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/open_file.h"

namespace hardmoe {

/// A file to append to.
class AppendFile {
 public:
  AppendFile() = default;
  /// Opens or creates the file and cuts it to its first `keep` bytes. Throws Error if it has fewer.
  AppendFile(std::filesystem::path file, int64_t keep);
  /// Appends to an empty file that is open for reading and writing.
  explicit AppendFile(OpenFile file);
  AppendFile(AppendFile&& other) noexcept { *this = std::move(other); }
  AppendFile& operator=(AppendFile&& other) noexcept;

  bool is_open() const { return file_.is_open(); }
  const std::filesystem::path& path() const { return file_.path(); }
  /// Returns the bytes written so far, on disk or not.
  int64_t size() const { return size_; }
  void write(const void* bytes, size_t count);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// Returns `count` bytes written before, from offset `at` on.
  std::string read(int64_t at, size_t count);
  /// Returns the CRC-32C of everything written so far.
  uint32_t crc32c();
  /// Passes everything written so far to the system, so that other processes can read it.
  void flush();
  /// Puts everything written so far on the disk, and the file's name. Once this has failed it fails
  /// always: the system may have dropped what it could not write, and would report it as written
  /// next time.
  void sync();

 private:
  std::string buffer_;
  int64_t size_ = 0;
  uint32_t crc32c_ = 0;  ///< of the first `summed_` bytes
  int64_t summed_ = 0;
  OpenFile file_;
  bool name_is_synced_ = false;
  bool sync_failed_ = false;
};

}  // namespace hardmoe
