// An open file for those in lib/base who hold one: calls that are repeated until all is done, and
// errors that name the file. Others use base/files.h and base/append_file.h.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <filesystem>

namespace hardmoe {

class OpenFile {
 public:
  OpenFile() = default;
  /// flags: as open() has them. Throws Error: "reading FILE: …", or "writing FILE: …" where they
  /// allow that.
  OpenFile(std::filesystem::path file, int flags, mode_t mode = 0644);
  /// One that is open already, and called `file` in messages.
  static OpenFile of(int descriptor, std::filesystem::path file);
  ~OpenFile() { close(); }
  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&& other) noexcept;

  bool is_open() const { return descriptor_ >= 0; }
  const std::filesystem::path& path() const { return path_; }
  int descriptor() const { return descriptor_; }
  struct stat status() const;

  /// Throws Error where the file ends before.
  void read_at(size_t offset, void* bytes, size_t count) const;
  void write_at(size_t offset, const void* bytes, size_t count);
  /// Changes the length.
  void truncate(size_t size);
  /// Puts what was written on the disk for good.
  void sync();
  void close();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// Throws Error with errno's reason, for a full disk with what to do.
[[noreturn]] void fail_reading(const std::filesystem::path& file);
[[noreturn]] void fail_writing(const std::filesystem::path& file);

}  // namespace hardmoe
