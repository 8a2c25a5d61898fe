#include "base/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <memory>

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

class SystemFiles final : public FileSystem {
 public:
  int open(const fs::path& path, int flags, mode_t mode) override {
    return ::open(path.c_str(), flags | O_CLOEXEC, mode);
  }
  int close(int descriptor) override { return ::close(descriptor); }
  ssize_t read(int descriptor, void* bytes, size_t count) override {
    return ::read(descriptor, bytes, count);
  }
  ssize_t read_at(int descriptor, void* bytes, size_t count, int64_t offset) override {
    return ::pread(descriptor, bytes, count, static_cast<off_t>(offset));
  }
  ssize_t write_at(int descriptor, const void* bytes, size_t count, int64_t offset) override {
    return ::pwrite(descriptor, bytes, count, static_cast<off_t>(offset));
  }
  int truncate(int descriptor, int64_t size) override {
    return ::ftruncate(descriptor, static_cast<off_t>(size));
  }
  int sync(int descriptor) override { return ::fsync(descriptor); }
  int lock(int descriptor, LockKind kind) override {
    return ::flock(descriptor, (kind == LockKind::alone ? LOCK_EX : LOCK_SH) | LOCK_NB);
  }
  void* map(int descriptor, size_t count, int64_t offset, Pages pages) override {
    const int flags = MAP_PRIVATE | (pages == Pages::at_once ? MAP_POPULATE : 0);
    void* mapped = ::mmap(nullptr, count, PROT_READ, flags, descriptor, static_cast<off_t>(offset));
    return mapped == MAP_FAILED ? nullptr : mapped;
  }
  void prefetch(int descriptor, int64_t offset, size_t count) override {
    ::posix_fadvise(descriptor, static_cast<off_t>(offset), static_cast<off_t>(count),
                    POSIX_FADV_WILLNEED);
  }
  int status(int descriptor, struct stat& found) override { return ::fstat(descriptor, &found); }
  int status(const fs::path& path, Links links, struct stat& found) override {
    return links == Links::followed ? ::stat(path.c_str(), &found) : ::lstat(path.c_str(), &found);
  }
  int may_write(const fs::path& folder) override { return ::access(folder.c_str(), W_OK); }
  int list(const fs::path& folder, const TakeName& take) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> names(::opendir(folder.c_str()), ::closedir);
    if (names == nullptr) return -1;
    errno = 0;
    while (const dirent* entry = ::readdir(names.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") take(name, entry->d_type);
      errno = 0;
    }
    return errno == 0 ? 0 : -1;
  }
  int rename(const fs::path& from, const fs::path& to) override {
    return ::rename(from.c_str(), to.c_str());
  }
  int remove(const fs::path& path) override { return ::remove(path.c_str()); }
  int make_folder(const fs::path& path, mode_t mode) override {
    return ::mkdir(path.c_str(), mode);
  }
};

std::atomic<FileSystem*> current{nullptr};

}  // namespace

FileSystem& system_files() {
  static SystemFiles files;
  return files;
}

FileSystem& file_system() {
  FileSystem* other = current.load(std::memory_order_acquire);
  return other != nullptr ? *other : system_files();
}

ScopedFileSystem::ScopedFileSystem(FileSystem& other) : before_(current.exchange(&other)) {}

ScopedFileSystem::~ScopedFileSystem() { current = before_; }

}  // namespace hardmoe
