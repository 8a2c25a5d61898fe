// Files that appear whole or not at all, memory maps, locks and checksums.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace hardmoe {

/// The whole file, or what a pipe holds. Throws Error naming the file and the system's reason.
std::string read_file(const std::filesystem::path& file);

/// Writes to a temporary name in the same folder, fsyncs, renames. Throws Error (full disk, no
/// permission …) and leaves what was there before.
void write_file_atomic(const std::filesystem::path& file, std::string_view bytes);

/// A file written piece by piece that appears under its name only at commit(); removed otherwise.
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
  void commit();

 private:
  void flush();
  std::filesystem::path file_;
  std::filesystem::path temporary_;
  std::string buffer_;
  size_t size_ = 0;
  int descriptor_ = -1;
};

/// A file read piece by piece, by several threads at once, for files larger than memory. Throws
/// Error for pipes, sockets, devices and folders, without waiting.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& file);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  size_t size() const { return size_; }
  /// Throws Error where the file ends before.
  void read_at(size_t offset, void* bytes, size_t count) const;
  /// These bytes are read soon: the system may fetch them meanwhile.
  void expect(size_t offset, size_t count) const;

 private:
  friend class MappedPiece;
  std::filesystem::path file_;
  size_t size_ = 0;
  int descriptor_ = -1;
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
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

/// Creates the folder (and parents) and checks that it can be written. Throws Error.
void make_writable_folder(const std::filesystem::path& folder);

/// Throws Error("X: no such file; …") with `hint` unless the file exists. status: usage where the
/// user named a wrong place, failed where something is gone from the right one.
void require_file(const std::filesystem::path& file, std::string_view hint,
                  ExitStatus status = ExitStatus::failed);

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
