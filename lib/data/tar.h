// Tar archives as indexed bytes: ustar, pax and GNU long names read, plain deterministic ustar
// written. Nothing is ever extracted to disk. Not for compressed or sparse archives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
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

/// The regular files of an archive in their order; folders, links and devices are passed over.
/// Throws Error naming `where` and the byte offset for anything that is not a whole tar: bad
/// checksum, members reaching beyond the end, no end-of-archive block.
std::vector<TarEntry> index_tar(std::span<const std::byte> archive, std::string_view where);

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
