#include "base/file_lock.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/file_system.h"
#include "base/lock_signature.h"
#include "base/tell.h"

namespace hardmoe {
namespace fs = std::filesystem;
namespace {

/// Locks the file, though others look whether it is locked (lock_holder), which holds the lock for
/// a moment.
bool lock_between_looks(int descriptor) {
  for (int tries = 10; tries > 0; --tries) {
    if (uninterrupted([&] { return file_system().lock(descriptor, LockKind::alone); }) == 0) {
      return true;
    }
    if (errno != EWOULDBLOCK) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  errno = EWOULDBLOCK;
  return false;
}

}  // namespace

FileLock::FileLock(const fs::path& file, std::string_view what) {
  const int descriptor =
      uninterrupted([&] { return file_system().open(file, O_RDWR | O_CREAT, 0644); });
  if (descriptor < 0) fail("locking {}: {}", file.string(), std::strerror(errno));
  file_ = OpenFile::of(descriptor, file);
  if (lock_between_looks(descriptor)) {
    sign_lock(descriptor);
    return;
  }
  if (errno != EWOULDBLOCK) fail("locking {}: {}", file.string(), std::strerror(errno));
  tell_listener({{"locked", file.string()}});
  fail("{} is being written by {} (lock {}); wait for it or stop it", what,
       lock_signature(descriptor), file.string());
}

std::string lock_holder(const fs::path& file) {
  const int descriptor = uninterrupted([&] { return file_system().open(file, O_RDONLY, 0); });
  if (descriptor < 0) return "";
  const OpenFile opened = OpenFile::of(descriptor, file);
  const bool free =
      uninterrupted([&] { return file_system().lock(descriptor, LockKind::shared); }) == 0;
  return free || errno != EWOULDBLOCK ? "" : lock_signature(descriptor);
}

}  // namespace hardmoe
