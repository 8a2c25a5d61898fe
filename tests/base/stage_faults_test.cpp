// Stages where calls fail or power is lost: what is called done is whole, and the same command goes
// on to the same end.
#include <gtest/gtest.h>

#include "base/log.h"
#include "base/recorded.h"
#include "base/stage.h"
#include "faulty_files.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

class StageFaults : public testing::Test {
 protected:
  StageFaults() { set_log_level(LogLevel::quiet); }
  ~StageFaults() override { set_log_level(LogLevel::info); }

  /// A stage that writes two files, the first of which it keeps over interruptions.
  void run(int value, bool force = false) const {
    Stage stage({folder / "out", "moe-x", {{"value", value}}, force, {}, {"*.txt", "parts/*"}});
    if (stage.done()) return;
    if (!stage.has_kept("a.txt")) {
      write_file_atomic(folder / "out/a.txt", fmt::format("a{}", value));
      stage.keep("a.txt");
    }
    make_writable_folder(folder / "out/parts");
    write_file_atomic(folder / "out/parts/b", fmt::format("b{}", value));
    stage.finish({"a.txt", "parts/b"}, {{"value", value}});
  }
  /// What is called done is this run's, whole.
  void check_done(int value) const {
    const Json record = read_json(folder / "out/stage.json");
    EXPECT_TRUE(record["done"].get<bool>());
    EXPECT_EQ(record["inputs"]["value"], value);
    EXPECT_EQ(record["outputs"].size(), 2U);
    for (const auto& [name, sum] : record["outputs"].items()) {
      EXPECT_EQ(sha256_of_file(folder / "out" / name), sum) << name;
    }
    EXPECT_EQ(read_file(folder / "out/a.txt"), fmt::format("a{}", value));
    EXPECT_EQ(read_file(folder / "out/parts/b"), fmt::format("b{}", value));
  }
  bool is_done() const {
    const fs::path record = folder / "out/stage.json";
    return fs::exists(record) && read_json(record)["done"].get<bool>();
  }
  TemporaryFolder folder;
};

TEST_F(StageFaults, APowerLossAnywhereLeavesWhatTheSameCommandFinishes) {
  lose_power_everywhere(
      folder.path(), [] {}, [&] { run(1); },
      [&](bool finished) {
        EXPECT_TRUE(is_done() || !finished);
        if (is_done()) check_done(1);
        run(1);
        check_done(1);
      },
      2);
}

TEST_F(StageFaults, ForcedItIsNeverTheOldResultThatCounts) {
  lose_power_everywhere(
      folder.path(), [&] { run(1); }, [&] { run(2, true); },
      [&](bool finished) {
        const int found = read_json(folder / "out/stage.json")["inputs"]["value"];
        EXPECT_TRUE(found == 2 || !finished);
        if (is_done()) check_done(found);
        run(2, true);
        check_done(2);
      },
      3);
}

TEST_F(StageFaults, WhicheverCallFailsTheErrorSaysWhereAndTheNextRunGoesOn) {
  for (const int error : {EIO, ENOSPC}) {
    const int calls = fail_every_call(
        folder.path(), error, [] {}, [&] { run(1); },
        [&](const std::string& complaint) {
          if (is_done()) {
            check_done(1);
          } else {
            EXPECT_NE(complaint.find((folder / "out").string()), std::string::npos);
          }
          run(1);
          check_done(1);
        },
        2);
    EXPECT_GT(calls, 50);
  }
}

}  // namespace
}  // namespace hardmoe
