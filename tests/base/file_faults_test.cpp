// Files where calls fail, are interrupted, or power is lost.
#include <gtest/gtest.h>

#include "base/append_file.h"
#include "base/crc32c.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/folders.h"
#include "faulty_files.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

class FileFaults : public testing::Test {
 protected:
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder.path())) {
      found.push_back(entry.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  TemporaryFolder folder;
  const fs::path file = folder / "a.txt";
  const std::string before = "what was there", after = "what is written, a little longer";
  const std::function<void()> prepare = [this] { write_file_atomic(file, before); };
};

TEST_F(FileFaults, WhatWasNeverSyncedIsLost) {  // or the tests below would show nothing
  FaultyFiles files(folder.path());
  {
    const ScopedFileSystem scoped(files);
    OpenFile plain(file, O_WRONLY | O_CREAT);
    plain.write_at(0, "abc", 3);
    ASSERT_EQ(file_system().rename(file, folder / "b.txt"), 0);
  }
  files.lose_power(Left::everything);
  EXPECT_EQ(read_file(folder / "b.txt"), "abc");
  files.lose_power(Left::all_names);
  EXPECT_EQ(read_file(folder / "b.txt"), "") << "renamed, but not written";
  files.lose_power(Left::synced_only);
  EXPECT_TRUE(names().empty());
}

TEST_F(FileFaults, AnAtomicFileIsOldOrNewWhicheverCallFails) {
  for (const int error : {EIO, ENOSPC}) {
    const int calls = fail_every_call(
        folder.path(), error, prepare, [&] { write_file_atomic(file, after); },
        [&](const std::string& complaint) {
          EXPECT_NE(complaint.find("writing "), std::string::npos);
          EXPECT_NE(complaint.find(folder.path().string()), std::string::npos);
          EXPECT_EQ(complaint.find("free some space") != std::string::npos, error == ENOSPC);
          const std::string found = read_file(file);
          EXPECT_TRUE(found == before || found == after) << found;
          EXPECT_EQ(names().size(), 1U) << "the temporary file is removed";
          write_file_atomic(file, after);
          EXPECT_EQ(read_file(file), after) << "the next time";
        });
    EXPECT_EQ(calls, 6) << "open, write, sync, rename; the folder: open, sync";
  }
}

TEST_F(FileFaults, AnAtomicFileSurvivesALossOfPower) {
  const int changes = lose_power_everywhere(
      folder.path(), prepare, [&] { write_file_atomic(file, after); },
      [&](bool finished) {
        const std::string found = read_file(file);
        EXPECT_TRUE(found == after || (found == before && !finished)) << found;
      });
  EXPECT_EQ(changes, 5);
}

TEST_F(FileFaults, ACopySurvivesALossOfPower) {
  lose_power_everywhere(
      folder.path(),
      [&] {
        prepare();
        write_file_atomic(folder / "from", after);
      },
      [&] { copy_file_atomic(folder / "from", file); },
      [&](bool finished) {
        const std::string found = read_file(file);
        EXPECT_TRUE(found == after || (found == before && !finished)) << found;
      });
}

TEST_F(FileFaults, InterruptionsAndShortTransfersAreNoErrors) {
  FaultyFiles files(folder.path());
  files.trouble_every_call();
  const ScopedFileSystem scoped(files);
  write_file_atomic(file, after);
  EXPECT_EQ(read_file(file), after);
  EXPECT_EQ(read_piece(file, 5, 10), after.substr(5, 10));
  copy_file_atomic(file, folder / "copy");
  EXPECT_EQ(read_file(folder / "copy"), after);
  std::string read(after.size(), ' ');
  InputFile(file).read_at(0, read.data(), read.size());
  EXPECT_EQ(read, after);
  {
    AppendFile log(folder / "log", 0);
    log.write(after);
    log.sync();
    EXPECT_EQ(log.read(0, 8), after.substr(0, 8));
    EXPECT_EQ(log.crc32c(), crc32c(after));
  }
  AppendFile(folder / "log", 4);
  EXPECT_EQ(read_file(folder / "log"), after.substr(0, 4));
  TemporaryFile unnamed(folder / "t");
  unnamed.write_at(0, after.data(), after.size());
  unnamed.read_at(0, read.data(), read.size());
  EXPECT_EQ(read, after);
  rename_file(file, folder / "b");
  make_writable_folder(folder / "x/y");
  const FileLock lock(folder / "x/y/.lock", "x");
  remove_tree(folder / "x");
  EXPECT_EQ(names(), (std::vector<std::string>{"b", "copy", "log"}));
}

TEST_F(FileFaults, AnAppendFileKeepsWhatItSynced) {
  const auto run = [&] {
    AppendFile log(folder / "log", 6);
    log.write("second");
    log.sync();
    log.write("third");
    log.flush();
  };
  const auto begin = [&] {
    AppendFile log(folder / "log", 0);
    log.write("first, and what no checkpoint counted");
    log.sync();
  };
  lose_power_everywhere(folder.path(), begin, run, [&](bool finished) {
    const std::string found = read_file(folder / "log");
    EXPECT_TRUE(found.starts_with(finished ? "first,second" : "first,")) << found;
    AppendFile again(folder / "log", 6);
    EXPECT_EQ(again.read(0, 6), "first,");
  });
  fail_every_call(folder.path(), ENOSPC, begin, run, [&](const std::string& complaint) {
    EXPECT_NE(complaint.find((folder.path()).string()), std::string::npos);
    AppendFile again(folder / "log", 6);
    EXPECT_EQ(again.read(0, 6), "first,");
  });
}

TEST_F(FileFaults, ANewAppendFileIsThereOnceItIsSynced) {
  lose_power_everywhere(
      folder.path(), [] {},
      [&] {
        AppendFile log(folder / "log", 0);
        log.write("first");
        log.sync();
      },
      [&](bool finished) { EXPECT_TRUE(!finished || read_file(folder / "log") == "first"); });
}

// Linux tells of what it could not write once, and calls it written from then on.
TEST_F(FileFaults, AfterAFailedSyncNothingCountsAsSynced) {
  FaultyFiles files(folder.path());
  const ScopedFileSystem scoped(files);
  AppendFile log(folder / "log", 0);
  log.write("lost");
  files.fail_call(2, EIO);  // the write, then the sync
  EXPECT_THROW(log.sync(), Error);
  ASSERT_TRUE(files.failed());
  try {
    log.sync();
    FAIL() << "the second sync succeeds";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("log"), std::string::npos);
  }
}

TEST_F(FileFaults, WhatSucceededWithNamesSurvivesALossOfPower) {
  const auto prepare_tree = [&] {
    make_folders(folder / "old/below");
    write_file_atomic(folder / "old/below/x", "x");
    write_file_atomic(folder / "from", "f");
    write_file_atomic(folder / "gone", "g");
  };
  lose_power_everywhere(
      folder.path(), prepare_tree, [&] { make_folders(folder / "new/er/est"); },
      [&](bool finished) { EXPECT_TRUE(!finished || is_folder(folder / "new/er/est")); });
  lose_power_everywhere(
      folder.path(), prepare_tree, [&] { remove_tree(folder / "old"); },
      [&](bool finished) { EXPECT_TRUE(!finished || !path_exists(folder / "old")); });
  lose_power_everywhere(
      folder.path(), prepare_tree, [&] { remove_file(folder / "gone"); },
      [&](bool finished) { EXPECT_TRUE(!finished || !path_exists(folder / "gone")); });
  lose_power_everywhere(
      folder.path(), prepare_tree, [&] { rename_file(folder / "from", folder / "old/to"); },
      [&](bool finished) {
        // Between two folders both names may be there, or neither: the first is synced first.
        const bool from = path_exists(folder / "from"), to = path_exists(folder / "old/to");
        EXPECT_TRUE(from || to);
        EXPECT_TRUE(!finished || (to && !from));
      });
}

TEST_F(FileFaults, FolderCallsNameTheirFolder) {
  const auto fails = [&](const std::function<void()>& run, const std::string& name) {
    fail_every_call(
        folder.path(), EIO,
        [&] {
          make_folders(folder / "old/below");
          write_file_atomic(folder / "from", "f");
        },
        run,
        [&](const std::string& complaint) {
          EXPECT_NE(complaint.find((folder / name).string()), std::string::npos);
          EXPECT_NE(complaint.find("Input/output error"), std::string::npos);
        });
  };
  fails([&] { make_folders(folder / "new/er"); }, "new");
  fails([&] { list_tree(folder / "old"); }, "old");
  fails([&] { remove_tree(folder / "old/below"); }, "old");
  fails([&] { path_exists(folder / "from"); }, "from");
  fails([&] { read_file(folder / "from"); }, "from");
  fails([&] { static_cast<void>(MappedFile(folder / "from")); }, "from");
  fails([&] { static_cast<void>(FileLock(folder / "from", "what")); }, "from");
}

TEST_F(FileFaults, AFileSystemWithoutSyncForFoldersWillDo) {
  FaultyFiles files(folder.path());
  for (const int error : {EINVAL, ENOTSUP}) {
    files.fail_call(6, error);  // of write_file_atomic: see above
    EXPECT_EQ(complaint_of(files, [&] { write_file_atomic(file, after); }), "");
    EXPECT_TRUE(files.failed());
  }
}

}  // namespace
}  // namespace hardmoe
