// Locks that go with their process, and say whose they are.
#include "base/file_lock.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>

#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

std::string this_process() {
  std::array<char, 256> host = {};
  ::gethostname(host.data(), host.size() - 1);
  return fmt::format("process {} on {}", ::getpid(), host.data());
}

TEST(FileLock, HoldsOthersOffAndNamesItself) {
  const TemporaryFolder folder;
  const auto file = folder / ".lock";
  EXPECT_EQ(lock_holder(file), "") << "there is none";
  {
    const FileLock lock(file, "runs/base");
    expect_error([&] { FileLock(file, "runs/base"); },
                 {"runs/base is being written by " + this_process(), ".lock", "wait for it"});
    EXPECT_EQ(lock_holder(file), this_process());
  }
  EXPECT_EQ(lock_holder(file), "") << "it says whose it was";
  EXPECT_NO_THROW(FileLock(file, "runs/base"));
}

TEST(FileLock, NamesTheClustersJob) {
  const TemporaryFolder folder;
  const auto file = folder / ".lock";
  ::setenv("SLURM_JOB_ID", "15", 1);
  ::setenv("SLURM_ARRAY_JOB_ID", "12", 1);
  ::setenv("SLURM_ARRAY_TASK_ID", "3", 1);
  {
    const FileLock lock(file, "x");
    EXPECT_EQ(lock_holder(file), this_process() + ", Slurm job 12_3");
  }
  ::unsetenv("SLURM_ARRAY_JOB_ID");
  {
    const FileLock lock(file, "x");
    EXPECT_EQ(lock_holder(file), this_process() + ", Slurm job 15");
  }
  ::unsetenv("SLURM_JOB_ID");
  ::unsetenv("SLURM_ARRAY_TASK_ID");
}

TEST(FileLock, ALockWithoutANameIsSomebodys) {
  const TemporaryFolder folder;
  const auto file = folder / ".lock";
  const FileLock lock(file, "x");
  std::ofstream(file, std::ios::trunc).flush();  // as earlier versions have it
  EXPECT_EQ(lock_holder(file), "another process");
}

}  // namespace
}  // namespace hardmoe
