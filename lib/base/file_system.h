// The system's calls on files and folders. All go through the current FileSystem, so that a test
// can replace it by one that fails, or that loses what was not synced. For lib/base only; others
// use base/files.h, base/folders.h and base/append_file.h.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

namespace hardmoe {

/// Whether status() describes what a link leads to, or the link.
enum class Links { followed, themselves };
/// Whether a lock keeps all other processes off, or those that want it alone.
enum class LockKind { alone, shared };
/// When mapped pages are read.
enum class Pages { when_touched, at_once };

/// The calls, each a call of the system: for example read_at() is pread(), lock() is flock(). One
/// that fails returns a negative number (map(): nullptr), with the reason in errno. Callers must
/// repeat calls after EINTR, and after fewer bytes than asked for.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// Returns a new descriptor of a file or folder, which exec closes.
  virtual int open(const std::filesystem::path& path, int flags, mode_t mode) = 0;
  virtual int close(int descriptor) = 0;
  /// Reads on from where the last read ended, for pipes.
  virtual ssize_t read(int descriptor, void* bytes, size_t count) = 0;
  virtual ssize_t read_at(int descriptor, void* bytes, size_t count, int64_t offset) = 0;
  virtual ssize_t write_at(int descriptor, const void* bytes, size_t count, int64_t offset) = 0;
  virtual int truncate(int descriptor, int64_t size) = 0;
  /// Puts the file's contents, or the folder's names, on the disk, so that they survive a loss of
  /// power.
  virtual int sync(int descriptor) = 0;
  /// Locks the file for this process without waiting, or changes its lock; fails with EWOULDBLOCK if
  /// another process holds a lock that does not go with this, and then none is held. On NFS a lock
  /// alone needs a descriptor that may write.
  virtual int lock(int descriptor, LockKind kind) = 0;
  /// Maps bytes read-only, until munmap. `offset` must be a multiple of the page size.
  virtual void* map(int descriptor, size_t count, int64_t offset, Pages pages) = 0;
  /// Tells the system that these bytes will be read soon.
  virtual void prefetch(int descriptor, int64_t offset, size_t count) = 0;

  virtual int status(int descriptor, struct stat& found) = 0;
  virtual int status(const std::filesystem::path& path, Links links, struct stat& found) = 0;
  /// Returns 0 if this process may write into the folder.
  virtual int may_write(const std::filesystem::path& folder) = 0;
  /// Takes a name in a folder and its type: DT_REG, DT_DIR, DT_LNK …, or DT_UNKNOWN if the file
  /// system does not record it.
  using TakeName = std::function<void(std::string_view name, unsigned char type)>;
  /// Passes all names but "." and ".." to `take`, unordered, one by one: there may be millions.
  virtual int list(const std::filesystem::path& folder, const TakeName& take) = 0;
  virtual int rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  /// Removes a file, a link, or an empty folder.
  virtual int remove(const std::filesystem::path& path) = 0;
  virtual int make_folder(const std::filesystem::path& path, mode_t mode) = 0;
};

/// Returns the file system in use: the system's, unless a ScopedFileSystem is alive.
FileSystem& file_system();
/// Returns the system's file system.
FileSystem& system_files();

/// Replaces the file system in use while alive, for all threads. For tests. No thread may be
/// opening files while it is made or destroyed.
class ScopedFileSystem {
 public:
  explicit ScopedFileSystem(FileSystem& other);
  ~ScopedFileSystem();
  ScopedFileSystem(const ScopedFileSystem&) = delete;
  ScopedFileSystem& operator=(const ScopedFileSystem&) = delete;

 private:
  FileSystem* before_;
};

/// Returns the result of `call`, repeated while a signal interrupts it.
template <class Call>
auto uninterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace hardmoe
