// Files under another name until they are complete, and what killed processes leave of them.
#include "base/unfinished_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/files.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

TEST(UnfinishedFile, NamesAreRecognised) {
  EXPECT_EQ(finished_name("a.npy.4711.tmp"), "a.npy");
  for (const char* name : {"a.npy", "a.tmp", "a.x1.tmp", "a..tmp", "4711.tmp"}) {
    EXPECT_EQ(finished_name(name), name);
  }
  EXPECT_EQ(finished_name(unfinished_name("b.json").string()), "b.json");
}

TEST(UnfinishedFile, WhatAKilledProcessLeftIsRemovedByTheNext) {
  const TemporaryFolder folder;
  const fs::path left = folder / "a.txt.4711.tmp", other = folder / "b.txt.4711.tmp";
  for (const auto& file : {left, other}) std::ofstream(file) << "half";
  write_file_atomic(folder / "a.txt", "whole");
  EXPECT_EQ(read_file(folder / "a.txt"), "whole");
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(other)) << "of another file";
}

TEST(UnfinishedFile, WhatAProcessWritesStays) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.txt";
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t writer = ::fork();
  if (writer == 0) {
    const OpenFile opened = open_unfinished(file);
    static_cast<void>(!::write(ready[1], "x", 1));
    ::pause();
    std::_Exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  write_file_atomic(file, "other");
  const fs::path theirs = folder / fmt::format("a.txt.{}.tmp", writer);
  EXPECT_TRUE(fs::exists(theirs));
  ::kill(writer, SIGKILL);
  ::waitpid(writer, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace hardmoe
