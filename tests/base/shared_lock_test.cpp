// A lock that many hold at once, and one alone before it lets others in.
#include "base/shared_lock.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/file_lock.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

TEST(SharedLock, TheFirstHasItAloneUntilItShares) {
  const TemporaryFolder folder;
  SharedLock first(folder / ".lock");
  EXPECT_TRUE(first.is_alone());
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    first.share();
  });
  const SharedLock second(folder / ".lock");  // waits
  EXPECT_FALSE(second.is_alone());
  EXPECT_TRUE(second.before().starts_with("process ")) << second.before();
  later.join();
  EXPECT_FALSE(first.is_alone());
}

TEST(SharedLock, WhoComesWhenAllAreGoneIsAlone) {
  const TemporaryFolder folder;
  for (int i = 0; i < 2; ++i) {
    SharedLock lock(folder / ".lock");
    EXPECT_TRUE(lock.is_alone());
    lock.share();
  }
}

TEST(SharedLock, ALookAtALockDoesNotKeepItsWriterOff) {
  const TemporaryFolder folder;
  const auto file = folder / ".lock";
  { const FileLock lock(file, "x"); }
  std::jthread looks([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) EXPECT_EQ(lock_holder(file).find("nobody"), std::string::npos);
  });
  for (int i = 0; i < 200; ++i) EXPECT_NO_THROW(FileLock(file, "x"));
}

}  // namespace
}  // namespace hardmoe
