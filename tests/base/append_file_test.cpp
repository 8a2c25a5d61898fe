// A file that grows and is cut back to what counts.
#include "base/append_file.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "base/files.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

TEST(AppendFile, IsCutBackToWhatCounts) {
  const TemporaryFolder folder;
  const auto path = folder / "a.bin";
  {
    AppendFile file(path, 0);
    file.write("0123456789");
    EXPECT_EQ(file.size(), 10);
    EXPECT_EQ(file.read(2, 3), "234") << "also what is not on the disk yet";
    file.sync();
    EXPECT_EQ(read_file(path), "0123456789");
    EXPECT_EQ(file.crc32c(), crc32c("0123456789"));
    file.write("lost, as in a kill");
  }
  EXPECT_EQ(read_file(path), "0123456789");
  AppendFile file(path, 6);
  file.write("abc");
  AppendFile moved = std::move(file);
  moved.write(std::string(1 << 20, 'z'));
  moved.sync();
  EXPECT_EQ(moved.size(), 9 + (1 << 20));
  EXPECT_EQ(moved.crc32c(), crc32c(read_file(path)));
  EXPECT_EQ(read_file(path).substr(0, 11), "012345abczz");
  expect_error([&] { moved.read(moved.size() - 1, 2); }, {"a.bin", "it ends at byte 1048585"});
  expect_error([&] { AppendFile(path, 1 << 21); }, {"a.bin", "1048585 bytes", "2097152"});
  expect_error([&] { AppendFile(folder / "none/a", 0); }, {"none/a", "No such file"});
}

}  // namespace
}  // namespace hardmoe
