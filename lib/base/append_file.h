// A file that grows and can be cut back to what a checkpoint recorded, for work that survives its
// process. Not for results: those appear whole (AtomicFile).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace hardmoe {

class AppendFile {
 public:
  AppendFile() = default;
  /// Opens the file, or makes it, and cuts off what is behind its first `keep` bytes. Throws Error
  /// if it is shorter.
  AppendFile(std::filesystem::path file, int64_t keep);
  ~AppendFile();
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;

  const std::filesystem::path& path() const { return path_; }
  /// What was written so far, on disk or not.
  int64_t size() const { return size_; }
  void write(const void* bytes, size_t count);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// `count` bytes written before, from `at` on.
  std::string read(int64_t at, size_t count);
  void overwrite(int64_t at, const void* bytes, size_t count);
  /// Of all that was written so far.
  uint32_t crc32c();
  /// Puts everything written so far on the disk for good.
  void sync();

 private:
  void flush();
  std::filesystem::path path_;
  std::string buffer_;
  int64_t size_ = 0;
  uint32_t crc32c_ = 0;  ///< of the first `summed_` bytes
  int64_t summed_ = 0;
  int descriptor_ = -1;
};

}  // namespace hardmoe
