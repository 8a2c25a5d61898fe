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

class AppendFile {
 public:
  AppendFile() = default;
  /// Opens the file, or makes it, and cuts off what is behind its first `keep` bytes. Throws Error
  /// if it is shorter.
  AppendFile(std::filesystem::path file, int64_t keep);
  AppendFile(AppendFile&& other) noexcept { *this = std::move(other); }
  AppendFile& operator=(AppendFile&& other) noexcept;

  bool is_open() const { return file_.is_open(); }
  const std::filesystem::path& path() const { return file_.path(); }
  /// What was written so far, on disk or not.
  int64_t size() const { return size_; }
  void write(const void* bytes, size_t count);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// `count` bytes written before, from `at` on.
  std::string read(int64_t at, size_t count);
  void overwrite(int64_t at, const void* bytes, size_t count);
  /// Of all that was written so far.
  uint32_t crc32c();
  /// Hands everything written so far to the system, for others who read the file.
  void flush();
  /// Puts everything written so far on the disk for good, and that there is such a file. Once that
  /// has failed it fails ever after: what the system could not write it may have forgotten, and
  /// would call written the next time.
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
