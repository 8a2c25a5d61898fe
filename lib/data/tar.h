// Tar archives as indexed bytes: ustar, pax and GNU long names read, plain deterministic ustar
// written. Nothing is ever extracted to disk. Not for compressed or sparse archives.
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

/// A regular file in a tar: its bytes are [offset, offset + size) of the archive.
struct TarEntry {
  std::string name;
  int64_t offset;
  int64_t size;
};

/// A link, hard or symbolic, with the bytes of the member it stands for (after any further links).
struct TarLink {
  std::string name, target;
  int64_t offset = 0, size = -1;  ///< -1: its target is no file of the archive
  bool leaves = false;            ///< its target is outside the archive's folder
};

struct TarIndex {
  std::vector<TarEntry> files;  ///< in their order
  std::vector<TarLink> links;   ///< in their order
  /// Other members, but folders: name, and what it is ("device").
  std::vector<std::pair<std::string, std::string>> others;
  int64_t archives = 1;      ///< one behind the other, as `cat a.tar b.tar` makes them
  int64_t bytes_behind = 0;  ///< behind the last of them, not blank and no tar
};

/// The members of an archive and of those that follow behind its end. Links are resolved as
/// Python's tarfile does: a hard link to the last member of its target's name before it, a symbolic
/// one, relative to its folder, to the last in all. Throws Error naming `where` and the byte offset
/// for anything that is not a whole tar: bad checksum, members reaching beyond the end, no
/// end-of-archive block.
TarIndex read_tar(std::span<const std::byte> archive, std::string_view where);

/// The regular files alone.
std::vector<TarEntry> index_tar(std::span<const std::byte> archive, std::string_view where);

/// Whether the bytes begin as a tar does (its first header's checksum is right).
bool begins_as_tar(std::string_view bytes);

/// Writes an archive whose bytes depend on names and contents only: mode 0644, owner 0, time 0. It
/// appears under its name at finish().
class TarWriter {
 public:
  explicit TarWriter(const std::filesystem::path& file);
  /// None is written: for where members would lie, and the SHA-256.
  TarWriter() = default;
  /// One that outlives its process: written as FILE.part, which stays where it is not finished.
  /// `keep`: go on behind so many bytes of it, which sync() put there.
  TarWriter(const std::filesystem::path& file, int64_t keep);
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  /// Returns where in the archive the member's bytes begin. Throws Error on a failed write.
  int64_t add(std::string_view name, std::string_view bytes);
  int64_t size() const { return size_; }
  void sync() { output_.sync(); }
  uint32_t crc32c() { return output_.crc32c(); }
  /// Returns the SHA-256 of the archive.
  std::string finish();

 private:
  void put(std::string_view bytes);
  void put_member(std::string_view name, std::string_view prefix, char type,
                  std::string_view bytes);
  std::filesystem::path file_;
  AppendFile output_;
  Sha256 hash_;
  int64_t size_ = 0;
  bool keep_unfinished_ = false;
  bool finished_ = false;
};

}  // namespace hardmoe
