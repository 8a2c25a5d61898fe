#include "base/shared_lock.h"

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/file_system.h"
#include "base/lock_signature.h"

namespace hardmoe {
namespace {

constexpr int longest_wait = 500;  // of 20 ms

}  // namespace

SharedLock::SharedLock(const std::filesystem::path& file) {
  const int descriptor =
      uninterrupted([&] { return file_system().open(file, O_RDWR | O_CREAT, 0644); });
  if (descriptor < 0) fail("locking {}: {}", file.string(), std::strerror(errno));
  file_ = OpenFile::of(descriptor, file);
  take(true);
  before_ = lock_signature(descriptor);
  sign_lock(descriptor);
}

void SharedLock::take(bool perhaps_alone) {
  const int descriptor = file_.descriptor();
  const auto has = [&](LockKind kind) {
    if (uninterrupted([&] { return file_system().lock(descriptor, kind); }) == 0) return true;
    if (errno == EWOULDBLOCK) return false;
    fail("locking {}: {}", file_.path().string(), std::strerror(errno));
  };
  for (int tries = 0; tries < longest_wait; ++tries) {
    alone_ = perhaps_alone && has(LockKind::alone);
    if (alone_ || has(LockKind::shared)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  fail("{} has been locked by {} for {} seconds; wait for it or stop it", file_.path().string(),
       lock_signature(descriptor), longest_wait / 50);
}

void SharedLock::share() { take(false); }

}  // namespace hardmoe
