// Files that appear whole or not at all, files read in pieces, memory maps, locks and checksums.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/folders.h"
#include "base/open_file.h"

namespace hardmoe {

/// The whole file, or what a pipe holds. Throws Error naming the file and the system's reason.
std::string read_file(const std::filesystem::path& file);
/// What is in a file from `offset` on, `count` bytes at most; "" where that cannot be read. For
/// files that another process writes meanwhile.
std::string read_piece(const std::filesystem::path& file, size_t offset, size_t count);
/// Writes to a temporary name in the same folder, syncs it, renames it, syncs the folder: what was
/// there before or the new content, whenever power is lost. Throws Error (full disk, no permission
/// …) and leaves what was there before.
void write_file_atomic(const std::filesystem::path& file, std::string_view bytes);
/// Writes `to` so, with what is in `from`.
void copy_file_atomic(const std::filesystem::path& from, const std::filesystem::path& to);

/// NAME.PID.tmp: what a file is called until it is whole. What is left by that name when no process
/// writes there is of a killed one.
std::filesystem::path unfinished_name(const std::filesystem::path& file);

/// A file written piece by piece that appears under its name only at commit(), as
/// write_file_atomic() has it; removed otherwise.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path file);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(const void* bytes, size_t count);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// Overwrites `count` bytes at `offset`, for headers known only at the end.
  void write_at(size_t offset, const void* bytes, size_t count);
  size_t size() const { return size_; }
  /// After::not_synced: whoever writes several files of a folder calls sync_folder() once for all.
  void commit(After after = After::synced);

 private:
  void flush();
  std::filesystem::path file_;
  std::filesystem::path temporary_;
  OpenFile output_;
  std::string buffer_;
  size_t size_ = 0;
};

/// A file without a name, which ends with the process or before.
class TemporaryFile {
 public:
  TemporaryFile() = default;
  /// Made in the folder of `begin`, for a moment with a name that begins so. Throws Error.
  explicit TemporaryFile(const std::filesystem::path& begin);
  bool is_open() const { return file_.is_open(); }
  void write_at(size_t offset, const void* bytes, size_t count) {
    file_.write_at(offset, bytes, count);
  }
  void read_at(size_t offset, void* bytes, size_t count) const {
    file_.read_at(offset, bytes, count);
  }
  /// By which this process opens it again.
  std::filesystem::path path() const;

 private:
  OpenFile file_;
};

/// A file read piece by piece, by several threads at once, for files larger than memory. Throws
/// Error for pipes, sockets, devices and folders, without waiting.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& file);
  size_t size() const { return size_; }
  /// Throws Error where the file ends before.
  void read_at(size_t offset, void* bytes, size_t count) const {
    input_.read_at(offset, bytes, count);
  }
  /// These bytes are read soon: the system may fetch them meanwhile.
  void prefetch(size_t offset, size_t count) const;

 private:
  friend class MappedPiece;
  size_t size_ = 0;  // before input_, which sets it
  OpenFile input_;
};

/// A piece of a file mapped into memory, read-only and read at once.
class MappedPiece {
 public:
  MappedPiece() = default;
  /// Throws Error where the file ends before.
  MappedPiece(const InputFile& file, size_t offset, size_t count);
  ~MappedPiece();
  MappedPiece(MappedPiece&& other) noexcept;
  MappedPiece& operator=(MappedPiece&& other) noexcept;
  const std::byte* data() const { return data_; }

 private:
  std::byte* pages_ = nullptr;
  size_t size_ = 0;
  const std::byte* data_ = nullptr;
};

/// Read-only memory map of a whole file; an empty file maps to an empty span. Throws Error as
/// InputFile does.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Holds `file` locked while alive. Throws Error if another process holds it.
class FileLock {
 public:
  FileLock(const std::filesystem::path& file, std::string_view what);

 private:
  OpenFile file_;
};

/// SHA-256 in hexadecimal, as `sha256sum` prints it.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(const void* bytes, size_t count);
  std::string hex();

 private:
  void* context_;
};
std::string sha256_hex(std::string_view bytes);
/// Throws Error(interrupted) after SIGTERM: files may be larger than what is read until that has to
/// be obeyed.
std::string sha256_of_file(const std::filesystem::path& file);
/// The same for files of up to 64 MiB. Beyond, of the size and of 256 pieces of 64 KiB evenly
/// apart, so that naming the input of a long computation does not read it whole: another file is
/// told apart, an edit of a few bytes may not be.
std::string fingerprint_of_file(const std::filesystem::path& file);

}  // namespace hardmoe
