// Tar archives as indexed bytes: reads ustar, pax and GNU long names, writes plain deterministic
// ustar. Never extracts to disk. Not for compressed or sparse archives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/append_file.h"
#include "base/files.h"

namespace hardmoe {

/// A regular file in a tar; its bytes are [offset, offset + size) of the archive.
struct TarEntry {
  std::string name;
  int64_t offset;
  int64_t size;
};

/// A hard or symbolic link, with the bytes of the file it leads to (through further links).
struct TarLink {
  std::string name, target;
  int64_t offset = 0, size = -1;  ///< of that file's bytes; size -1: it is not in the archive
  bool leaves = false;            ///< the target is outside the archive's folder
};

/// The members of a tar.
struct TarIndex {
  std::vector<TarEntry> files;  ///< in the archive's order
  std::vector<TarLink> links;   ///< in the archive's order
  /// Other members except folders: name, and what it is ("device").
  std::vector<std::pair<std::string, std::string>> others;
  int64_t archives = 1;      ///< concatenated archives, as `cat a.tar b.tar` makes them
  int64_t bytes_behind = 0;  ///< bytes after the last archive that are neither zeros nor a tar
};

/// Returns the members of an archive and of archives concatenated to it. Links are resolved like
/// Python's tarfile does: a hard link to the last earlier member of its target's name, a symbolic
/// link (relative to its folder) to the last such member of all. Throws Error naming `where` and
/// the byte offset if the archive is not whole: bad checksum, members beyond the end, no
/// end-of-archive block.
TarIndex read_tar(std::span<const std::byte> archive, std::string_view where);

/// Returns the regular files only. Throws as read_tar does.
std::vector<TarEntry> index_tar(std::span<const std::byte> archive, std::string_view where);

/// Returns whether the bytes begin like a tar, with a header whose checksum is right.
bool begins_as_tar(std::string_view bytes);

/// Writes an archive whose bytes depend only on names and contents: mode 0644, owner 0, time 0. The
/// file appears under its name at finish().
class TarWriter {
 public:
  /// Begins a new archive.
  explicit TarWriter(const std::filesystem::path& file);
  /// Writes nothing, but tells where members would lie, and the SHA-256.
  TarWriter() = default;
  /// Begins or continues an archive that outlives this process: it is written as FILE.part, which
  /// stays if it is not finished. `keep`: the bytes of FILE.part to continue after, as written by
  /// sync().
  TarWriter(const std::filesystem::path& file, int64_t keep);
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  /// Appends a member and returns the offset of its bytes. Throws Error if writing fails.
  int64_t add(std::string_view name, std::string_view bytes);
  /// Returns the bytes written so far.
  int64_t size() const { return size_; }
  /// Puts what was added on the disk.
  void sync() { output_.sync(); }
  /// Returns the CRC-32C of the bytes written so far.
  uint32_t crc32c() { return output_.crc32c(); }
  /// Completes the archive under its name and returns its SHA-256.
  std::string finish();

 private:
  void put(std::string_view bytes);
  void put_member(std::string_view name, std::string_view prefix, char type,
                  std::string_view bytes);
  std::filesystem::path file_;
  std::filesystem::path unfinished_;  ///< its name until it is complete
  AppendFile output_;
  Sha256 hash_;
  int64_t size_ = 0;
  bool keep_unfinished_ = false;
  bool finished_ = false;
};

}  // namespace hardmoe
