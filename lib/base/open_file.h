// An open file, with calls that are repeated until all bytes are done, and errors that name the
// file. For lib/base only; others use base/files.h and base/append_file.h.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <filesystem>

namespace hardmoe {

/// An open file, closed with this object.
class OpenFile {
 public:
  OpenFile() = default;
  /// Opens a file, with the flags of open(). Throws Error: "reading FILE: …", or "writing FILE: …"
  /// if the flags allow writing.
  OpenFile(std::filesystem::path file, int flags, mode_t mode = 0644);
  /// Returns an OpenFile for an open descriptor; messages call it `file`.
  static OpenFile of(int descriptor, std::filesystem::path file);
  ~OpenFile() { close(); }
  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&& other) noexcept;

  bool is_open() const { return descriptor_ >= 0; }
  const std::filesystem::path& path() const { return path_; }
  int descriptor() const { return descriptor_; }
  struct stat status() const;

  /// Reads `count` bytes. Throws Error if the file ends before.
  void read_at(size_t offset, void* bytes, size_t count) const;
  void write_at(size_t offset, const void* bytes, size_t count);
  /// Changes the file's size.
  void truncate(size_t size);
  /// Puts what was written on the disk.
  void sync();
  void close();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// Throws Error: "reading FILE: " and errno's reason.
[[noreturn]] void fail_reading(const std::filesystem::path& file);
/// Throws Error: "writing FILE: " and errno's reason; if the disk is full, also what to do.
[[noreturn]] void fail_writing(const std::filesystem::path& file);

}  // namespace hardmoe
