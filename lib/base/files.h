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

/// Returns the contents of a file or pipe. Throws Error naming the file and the system's reason.
std::string read_file(const std::filesystem::path& file);
/// Returns at most `count` bytes of a file from `offset` on; "" if they cannot be read. For files
/// that another process is writing.
std::string read_piece(const std::filesystem::path& file, size_t offset, size_t count);
/// Returns what a link leads to, for a file that a person names and means; the file itself where it is
/// no link, or one to nothing.
std::filesystem::path behind_links(const std::filesystem::path& file);
/// Writes a temporary file in the same folder, syncs it, renames it, and syncs the folder: whenever
/// power is lost, the file has its old or its new contents. A link is replaced, as what it leads to
/// may be another run's. Throws Error (full disk, no permission, a folder or device …) and leaves what
/// was there.
void write_file_atomic(const std::filesystem::path& file, std::string_view bytes);
/// Copies a file in the manner of write_file_atomic().
void copy_file_atomic(const std::filesystem::path& from, const std::filesystem::path& to);

/// A file written piece by piece that appears under its name only at commit(), in the manner of
/// write_file_atomic(); without commit() it is removed. What a killed process left of such a file is
/// removed, too (base/unfinished_file.h).
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
  /// Completes the file. With After::not_synced, the caller calls sync_folder() once for all files
  /// of a folder.
  void commit(After after = After::synced);

 private:
  void flush();
  std::filesystem::path file_;
  std::filesystem::path temporary_;
  OpenFile output_;
  std::string buffer_;
  size_t size_ = 0;
};

/// A file without a name, which vanishes with this object, or with the process.
class TemporaryFile {
 public:
  TemporaryFile() = default;
  /// Makes the file in the folder of `begin`; until its name is removed, that begins with `begin`.
  /// Throws Error.
  explicit TemporaryFile(const std::filesystem::path& begin);
  bool is_open() const { return file_.is_open(); }
  void write_at(size_t offset, const void* bytes, size_t count) {
    file_.write_at(offset, bytes, count);
  }
  void read_at(size_t offset, void* bytes, size_t count) const {
    file_.read_at(offset, bytes, count);
  }
  /// Returns a path by which this process, and those it starts, can open the file again.
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
  /// Reads `count` bytes. Throws Error if the file ends before.
  void read_at(size_t offset, void* bytes, size_t count) const {
    input_.read_at(offset, bytes, count);
  }
  /// Tells the system that these bytes will be read soon, so that it may fetch them.
  void prefetch(size_t offset, size_t count) const;

 private:
  friend class MappedPiece;
  size_t size_ = 0;  // before input_, which sets it
  OpenFile input_;
};

/// A read-only memory map of a piece of a file, read at once.
class MappedPiece {
 public:
  MappedPiece() = default;
  /// Maps `count` bytes. Throws Error if the file ends before.
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

/// A read-only memory map of a whole file; an empty file maps to an empty span. Throws Error as
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

/// Computes a SHA-256, in hexadecimal as `sha256sum` prints it.
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
/// Returns the SHA-256 of these bytes.
std::string sha256_hex(std::string_view bytes);
/// Returns the SHA-256 of a file. Throws Error(interrupted) after SIGTERM, as reading a large file
/// takes longer than a process has to end.
std::string sha256_of_file(const std::filesystem::path& file);
/// Returns a fingerprint of a file: its SHA-256 up to 64 MiB; beyond, that of its size and of 256
/// pieces of 64 KiB at equal distances, so that naming the input of a long computation does not
/// read all of it. Distinguishes different files, but perhaps not an edit of a few bytes.
std::string fingerprint_of_file(const std::filesystem::path& file);

}  // namespace hardmoe
