// The one way to the system's files: every call on a file or folder goes through the current
// FileSystem, so that a test can put another in its place that fails, or loses what was not synced.
// Only lib/base calls it; others use base/files.h, base/folders.h and base/append_file.h.
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

enum class Links { followed, themselves };
enum class Pages { when_touched, at_once };

/// Each call is the system's of that name: it returns a negative number where it fails (map():
/// nullptr), with the reason in errno. EINTR and fewer bytes than asked for are the caller's to
/// repeat.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// A new descriptor, of files and folders; closed when the process becomes another program.
  virtual int open(const std::filesystem::path& path, int flags, mode_t mode) = 0;
  virtual int close(int descriptor) = 0;
  /// From where the last read ended: for pipes.
  virtual ssize_t read(int descriptor, void* bytes, size_t count) = 0;
  virtual ssize_t read_at(int descriptor, void* bytes, size_t count, int64_t offset) = 0;
  virtual ssize_t write_at(int descriptor, const void* bytes, size_t count, int64_t offset) = 0;
  virtual int truncate(int descriptor, int64_t size) = 0;
  /// What is in the file, or which names are in the folder, survives a loss of power.
  virtual int sync(int descriptor) = 0;
  /// For this process alone; EWOULDBLOCK where another has it.
  virtual int lock(int descriptor) = 0;
  /// Read-only; given back with munmap. `offset` is a multiple of the page size.
  virtual void* map(int descriptor, size_t count, int64_t offset, Pages pages) = 0;
  /// These bytes are read soon.
  virtual void prefetch(int descriptor, int64_t offset, size_t count) = 0;

  virtual int status(int descriptor, struct stat& found) = 0;
  virtual int status(const std::filesystem::path& path, Links links, struct stat& found) = 0;
  virtual int may_write(const std::filesystem::path& folder) = 0;
  /// A name in the folder, and its type: DT_REG, DT_DIR, DT_LNK …, or DT_UNKNOWN where the file
  /// system does not say.
  using TakeName = std::function<void(std::string_view name, unsigned char type)>;
  /// All names but "." and "..", in no order, one by one: there may be millions.
  virtual int list(const std::filesystem::path& folder, const TakeName& take) = 0;
  virtual int rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  /// A file, a link, or an empty folder.
  virtual int remove(const std::filesystem::path& path) = 0;
  virtual int make_folder(const std::filesystem::path& path, mode_t mode) = 0;
};

/// The one in use: the system's own, unless a ScopedFileSystem lives.
FileSystem& file_system();
FileSystem& system_files();

/// Puts another in use while alive, for all threads. For tests: none may be opening files
/// meanwhile.
class ScopedFileSystem {
 public:
  explicit ScopedFileSystem(FileSystem& other);
  ~ScopedFileSystem();
  ScopedFileSystem(const ScopedFileSystem&) = delete;
  ScopedFileSystem& operator=(const ScopedFileSystem&) = delete;

 private:
  FileSystem* before_;
};

/// The result of `call`, made again while a signal interrupts it.
template <class Call>
auto uninterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace hardmoe
