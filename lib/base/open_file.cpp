#include "base/open_file.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/file_system.h"

namespace hardmoe {
namespace fs = std::filesystem;

void fail_reading(const fs::path& file) {
  fail("reading {}: {}", file.string(), std::strerror(errno));
}

void fail_writing(const fs::path& file) {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  fail("writing {}: {}{}", file.string(), std::strerror(errno),
       full ? "; free some space and run the same command again" : "");
}

OpenFile::OpenFile(fs::path file, int flags, mode_t mode) : path_(std::move(file)) {
  descriptor_ = uninterrupted([&] { return file_system().open(path_, flags, mode); });
  if (descriptor_ >= 0) return;
  if ((flags & O_ACCMODE) == O_RDONLY) fail_reading(path_);
  fail_writing(path_);
}

OpenFile OpenFile::of(int descriptor, fs::path file) {
  OpenFile open;
  open.path_ = std::move(file);
  open.descriptor_ = descriptor;
  return open;
}

OpenFile::OpenFile(OpenFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

struct stat OpenFile::status() const {
  struct stat found = {};
  if (file_system().status(descriptor_, found) != 0) fail_reading(path_);
  return found;
}

void OpenFile::read_at(size_t offset, void* bytes, size_t count) const {
  auto* target = static_cast<char*>(bytes);
  while (count > 0) {
    const ssize_t found = uninterrupted([&] {
      return file_system().read_at(descriptor_, target, count, static_cast<int64_t>(offset));
    });
    if (found < 0) fail_reading(path_);
    if (found == 0) fail("reading {}: it ends at byte {}; was it changed?", path_.string(), offset);
    target += found;
    offset += static_cast<size_t>(found);
    count -= static_cast<size_t>(found);
  }
}

void OpenFile::write_at(size_t offset, const void* bytes, size_t count) {
  const auto* source = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = uninterrupted([&] {
      return file_system().write_at(descriptor_, source, count, static_cast<int64_t>(offset));
    });
    if (written < 0) fail_writing(path_);
    source += written;
    offset += static_cast<size_t>(written);
    count -= static_cast<size_t>(written);
  }
}

void OpenFile::truncate(size_t size) {
  const auto call = [&] { return file_system().truncate(descriptor_, static_cast<int64_t>(size)); };
  if (uninterrupted(call) != 0) fail_writing(path_);
}

void OpenFile::sync() {
  if (uninterrupted([&] { return file_system().sync(descriptor_); }) != 0) fail_writing(path_);
}

void OpenFile::close() {
  if (descriptor_ >= 0) file_system().close(std::exchange(descriptor_, -1));
}

}  // namespace hardmoe
