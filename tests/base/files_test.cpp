#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

size_t entries(const fs::path& folder) {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// No file may grow beyond `bytes` while this lives: a full disk for one process.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_ = {};
  void (*handler_)(int) = nullptr;
};

TEST(MappedFile, RefusesWhatIsNoFileWithoutWaiting) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_error([&] { MappedFile(folder / "pipe"); }, {"pipe", "it is a pipe, expected a file"});
  expect_error([&] { InputFile(folder / "pipe"); }, {"it is a pipe"});
  expect_error([] { MappedFile("/dev/zero"); }, {"/dev/zero", "it is a device"});
  expect_error([&] { MappedFile(folder.path()); }, {"it is a folder"});
  expect_error([&] { MappedFile(folder / "none"); }, {"none", "No such file"});
}

TEST(AtomicFile, AppearsWhole) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.bin";
  const std::string large(3 << 20, 'x');
  AtomicFile output(file);
  output.write("header  ");
  output.write(large);
  output.write_at(2, "--", 2);
  EXPECT_EQ(output.size(), large.size() + 8);
  EXPECT_FALSE(fs::exists(file));
  output.commit();
  EXPECT_EQ(read_file(file), "he--er  " + large);
  EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(AtomicFile, ReplacesALinkUnlessToldToFollowIt) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "file", "old");
  fs::create_symlink("file", folder / "link");
  write_file_atomic(behind_links(folder / "link"), "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "file"), "new");
  write_file_atomic(folder / "link", "own");
  EXPECT_EQ(read_file(folder / "file"), "new");
  EXPECT_EQ(read_file(folder / "link"), "own");
  fs::create_symlink("nothing", folder / "dangling");
  write_file_atomic(behind_links(folder / "dangling"), "whole");
  EXPECT_EQ(read_file(folder / "dangling"), "whole");
}

TEST(AtomicFile, TakesThePlaceOfFilesOnly) {
  const TemporaryFolder folder;
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expect_error([&] { write_file_atomic(pipe, "x"); }, {pipe.string(), "device or pipe"});
  expect_error([&] { write_file_atomic(folder.path(), "x"); }, {folder.path().string(), "folder"});
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST(AtomicFile, GivenUpLeavesWhatWasThere) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "old");
  {
    AtomicFile output(folder / "a");
    output.write("new");
  }
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(AtomicFile, FullDiskLeavesWhatWasThere) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a";
  write_file_atomic(file, "old");
  {
    const FileSizeLimit limit(100000);
    expect_error([&] { write_file_atomic(file, std::string(5 << 20, 'x')); },
                 {"writing " + file.string(), "File too large"});
  }
  EXPECT_EQ(read_file(file), "old");
  EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(AtomicFile, FullFileSystemSaysSo) {
  // The one file system in reach that is always full; its directory takes no new names, so the
  // error is seen through a link that the temporary name resolves to.
  const TemporaryFolder folder;
  fs::create_symlink("/dev/full", folder / fmt::format("a.{}.tmp", ::getpid()));
  expect_error([&] { write_file_atomic(folder / "a", "x"); },
               {"No space left on device", "free some space"});
  EXPECT_FALSE(fs::exists(folder / "a"));
}

TEST(AtomicFile, NamesTheFolderThatIsNotThere) {
  const TemporaryFolder folder;
  expect_error([&] { write_file_atomic(folder / "no/a", "x"); }, {"no/a", "No such file"});
}

TEST(ReadFile, NamesFileAndReason) {
  const TemporaryFolder folder;
  expect_error([&] { read_file(folder / "none"); }, {"none", "No such file or directory"});
  expect_error([&] { read_file(folder.path()); }, {"it is a folder"});
}

TEST(MappedFile, MapsAndMoves) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a", "hello");
  write_file_atomic(folder / "empty", "");
  MappedFile first(folder / "a");
  MappedFile second(std::move(first));
  first = MappedFile(folder / "empty");
  EXPECT_TRUE(first.bytes().empty());
  ASSERT_EQ(second.bytes().size(), 5U);
  EXPECT_EQ(std::to_integer<char>(second.bytes()[4]), 'o');
  expect_error([&] { MappedFile(folder / "none"); }, {"none", "No such file"});
  expect_error([&] { MappedFile{folder.path()}; }, {"it is a folder"});
}

TEST(MakeWritableFolder, SaysWhatIsInTheWay) {
  const TemporaryFolder folder;
  make_writable_folder(folder / "a/b/c");
  EXPECT_TRUE(fs::is_directory(folder / "a/b/c"));
  write_file_atomic(folder / "file", "");
  expect_error([&] { make_writable_folder(folder / "file"); }, {"file: is a file"},
               ExitStatus::usage);
  expect_error([&] { make_writable_folder(folder / "file/inside"); }, {"file/inside"});
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  fs::permissions(folder / "a", fs::perms::owner_read | fs::perms::owner_exec);
  expect_error([&] { make_writable_folder(folder / "a"); }, {"Permission denied"});
  fs::permissions(folder / "a", fs::perms::owner_all);
}

TEST(RequireFile, GivesTheHint) {
  expect_error([] { require_file("/nowhere/x", "run `moe-ingest` first"); },
               {"/nowhere/x", "run `moe-ingest` first"});
  expect_error([] { require_file("/nowhere/x", "is it mistyped?", ExitStatus::usage); },
               {"/nowhere/x", "is it mistyped?"}, ExitStatus::usage);
}

// FIPS 180-2, appendix B, and the empty message.
TEST(Sha256, MatchesKnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const TemporaryFolder folder;
  write_file_atomic(folder / "million", std::string(1000000, 'a'));
  EXPECT_EQ(sha256_of_file(folder / "million"),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Fingerprint, TellsLargeFilesApart) {
  const TemporaryFolder folder;
  const fs::path file = folder / "large";
  write_file_atomic(file, "abc");
  EXPECT_EQ(fingerprint_of_file(file), sha256_hex("abc"));
  fs::resize_file(file, size_t{100} << 20);  // zeros beyond
  const std::string before = fingerprint_of_file(file);
  EXPECT_EQ(fingerprint_of_file(file), before);
  fs::resize_file(file, (size_t{100} << 20) + 1);
  EXPECT_NE(fingerprint_of_file(file), before);
  fs::resize_file(file, size_t{100} << 20);
  EXPECT_EQ(fingerprint_of_file(file), before);
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary) << "abd";
  EXPECT_NE(fingerprint_of_file(file), before);
}

}  // namespace
}  // namespace hardmoe
