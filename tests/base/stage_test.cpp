#include "base/stage.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "base/log.h"
#include "base/recorded.h"
#include "expect_error.h"
#include "killed_process.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

class StageTest : public testing::Test {
 protected:
  Stage open(double lr, bool force = false, const std::string& command = "moe-train-base") {
    return Stage({folder / "base",
                  command,
                  {{"lr", lr}, {"data", {{"sha", "ab"}}}},
                  force,
                  {},
                  {"weights", "checkpoint", checkpoint_files, "log.*", "parts/*.npy"}});
  }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder / ("base/" + name)).parent_path());
    std::ofstream(folder / ("base/" + name)) << text;
  }
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder / "base")) {
      if (entry.is_regular_file()) found.insert(fs::relative(entry, folder / "base").string());
    }
    return found;
  }
  void finish(double lr) {
    Stage stage = open(lr);
    write_file_atomic(stage.folder() / "weights", "w");
    stage.finish({"weights"}, {{"loss", 0.5}});
  }
  bool has(const std::string& name) const { return fs::exists(folder / ("base/" + name)); }
  TemporaryFolder folder;
};

TEST_F(StageTest, UnfinishedResumesFinishedIsDone) {
  {
    const Stage stage = open(0.1);
    EXPECT_FALSE(stage.done());
    write_file_atomic(stage.folder() / "checkpoint", "half");
  }
  {
    Stage stage = open(0.1);
    EXPECT_FALSE(stage.done());
    EXPECT_TRUE(has("checkpoint"));
  }
  finish(0.1);
  const Stage stage = open(0.1);
  EXPECT_TRUE(stage.done());
  EXPECT_EQ(stage.results().at("loss"), 0.5);
}

TEST_F(StageTest, OtherInputsAreRefusedAndNamed) {
  finish(0.1);
  expect_error([&] { open(0.2); }, {"lr: was 0.1, is 0.2", "--force"}, ExitStatus::usage);
  for (const bool force : {false, true}) {  // nobody means to lose another command's result
    expect_error([&] { open(0.1, force, "moe-embed"); }, {"moe-train-base", "moe-embed"},
                 ExitStatus::usage);
  }
  EXPECT_TRUE(has("weights"));
}

TEST_F(StageTest, ForceRemovesWhatOtherInputsMade) {
  finish(0.1);
  write_file_atomic(folder / "base/log.txt", "a launcher is writing this");
  const Stage stage = open(0.2, true);
  EXPECT_FALSE(stage.done());
  EXPECT_FALSE(has("weights"));
  EXPECT_TRUE(has("log.txt"));
}

TEST_F(StageTest, ForceKeepsWhatTheSameInputsMade) {
  finish(0.1);
  EXPECT_TRUE(open(0.1, true).done());
}

TEST_F(StageTest, ForeignFolderIsRefusedEvenWhenForcedNothingIsLost) {
  write("thesis.tex", "…");
  write("parts/a.npy", "not ours, whatever its name");
  write("notes.1.tmp", "…");
  const auto before = names();
  for (const bool force : {false, true, true}) {
    expect_error([&] { open(0.1, force); }, {"base: holds 'notes.1.tmp'", "empty folder"},
                 ExitStatus::usage);
    EXPECT_EQ(names(), before);
  }
}

TEST_F(StageTest, WhatAKilledProcessLeftIsRemoved) {
  finish(0.1);
  write("parts/b.npy.77.tmp", "half of what it writes");
  write("parts/thesis.tex.77.tmp", "");
  write("checkpoint.before.safetensors", "of no use to a finished stage");
  EXPECT_TRUE(open(0.1).done());
  EXPECT_FALSE(has("parts/b.npy.77.tmp"));
  EXPECT_FALSE(has("checkpoint.before.safetensors"));
  EXPECT_TRUE(has("parts/thesis.tex.77.tmp"));
}

TEST_F(StageTest, ForceRemovesNothingItDoesNotKnow) {
  finish(0.1);
  write("parts/a.npy", "");
  for (const char* name : {"thesis.tex", "parts/thesis.npy.tex", "other/a.npy"}) {
    write(name, "…");
    const auto before = names();
    expect_error([&] { open(0.2, true); }, {"base: holds '", "did not write", "move it"},
                 ExitStatus::usage);
    EXPECT_EQ(names(), before);
    fs::remove(folder / ("base/" + std::string(name)));
  }
  fs::remove(folder / "base/other");
  open(0.2, true);
  EXPECT_EQ(names(), (std::set<std::string>{".lock", "stage.json"}));
}

TEST_F(StageTest, ALinkIsRemovedWithoutWhatItLeadsTo) {
  finish(0.1);
  fs::create_directories(folder / "disk");
  write_file_atomic(folder / "disk/a.npy", "large");
  fs::create_directory_symlink(folder / "disk", folder / "base/parts");
  open(0.2, true);
  EXPECT_FALSE(has("parts"));
  EXPECT_TRUE(fs::exists(folder / "disk/a.npy"));
}

TEST_F(StageTest, WithoutItsRecordForceBeginsFromNothing) {
  finish(0.1);
  write("checkpoint", "of other inputs");
  fs::remove(folder / "base/stage.json");
  expect_error([&] { open(0.1); }, {"base: holds 'checkpoint' and no stage.json"},
               ExitStatus::usage);
  write("thesis.tex", "…");
  expect_error([&] { open(0.1, true); }, {"'thesis.tex'", "did not write"}, ExitStatus::usage);
  EXPECT_TRUE(has("checkpoint"));
  fs::remove(folder / "base/thesis.tex");
  EXPECT_FALSE(open(0.1, true).done());
  EXPECT_EQ(names(), (std::set<std::string>{".lock", "stage.json"}));
}

TEST_F(StageTest, KilledWhileForceRemovesTheSameCommandBeginsFromNothing) {
  const auto forced = [&] {
    try {
      open(0.2, true);
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  };
  int n = 1, status = 137;
  for (; status == 137; ++n) {
    fs::remove_all(folder / "base");
    finish(0.1);
    for (const char* name : {"weights", "checkpoint", "log.jsonl", "parts/a.npy", "parts/b.npy"}) {
      write(name, "of other inputs");
    }
    if (n % 5 == 0) fs::remove(folder / "base/stage.json");
    status = run_until_change(n, forced);
    if (status < 0) GTEST_SKIP() << "processes may not be traced here";
    const bool begun = fs::exists(folder / "base/stage.json") &&
                       read_json(folder / "base/stage.json").at("inputs").at("lr") == 0.2;
    if (status == 137 && begun) {
      expect_error([&] { open(0.1); }, {"made from other inputs"}, ExitStatus::usage);
      expect_error([&] { stage_fingerprint(folder / "base", "moe-train-base"); }, {"not finished"});
      expect_error([&] { recorded(folder / "base/weights"); }, {"not finished"});
    }
    const bool again = !begun || n % 2 == 0;  // without --force, once it has begun
    EXPECT_FALSE(open(0.2, again).done()) << n;
    EXPECT_EQ(names(), (std::set<std::string>{".lock", "stage.json"})) << n;
    EXPECT_FALSE(read_json(folder / "base/stage.json").contains("clearing"));
  }
  EXPECT_EQ(status, 0);
  EXPECT_GT(n, 12);
}

TEST_F(StageTest, WhatWasKeptIsThereUntilItIsDamagedOrInputsChange) {
  {
    Stage stage = open(0.1);
    EXPECT_FALSE(stage.has_kept("weights"));
    write("weights", "long work");
    EXPECT_FALSE(stage.has_kept("weights")) << "there, but nobody said it is whole";
    stage.keep("weights");
  }
  EXPECT_TRUE(open(0.1).has_kept("weights"));
  write("weights", "long worK");
  EXPECT_FALSE(open(0.1).has_kept("weights"));
  write("weights", "long work");
  EXPECT_TRUE(open(0.1).has_kept("weights"));
  EXPECT_FALSE(open(0.2, true).has_kept("weights"));
  EXPECT_FALSE(has("weights"));
}

TEST_F(StageTest, IdentityIsThatOfTheInputsInAnyOrder) {
  const auto identity = [&](const Json& inputs) {
    static int count = 0;
    return Stage({folder / std::to_string(++count), "c", inputs}).identity();
  };
  EXPECT_EQ(identity({{"a", 1}, {"b", 2}}), identity({{"b", 2}, {"a", 1}}));
  EXPECT_NE(identity({{"a", 1}, {"b", 2}}), identity({{"a", 1}, {"b", 3}}));
}

TEST_F(StageTest, TwoProcessesCannotWriteOneStage) {
  const Stage stage = open(0.1);
  expect_error([&] { open(0.1); }, {"is being written by process "});
}

TEST_F(StageTest, KilledBeforeItsFirstRecordStartsAgain) {
  write(".lock", "");
  write("stage.json.4242.tmp", "{");
  EXPECT_FALSE(open(0.1).done());
  EXPECT_FALSE(has("stage.json.4242.tmp"));
}

TEST_F(StageTest, LostOutputIsNoticed) {
  finish(0.1);
  fs::remove(folder / "base/weights");
  expect_error([&] { open(0.1); }, {"'weights' is gone"});
}

TEST_F(StageTest, BrokenRecordNamesItself) {
  finish(0.1);
  write_file_atomic(folder / "base/stage.json", "{\"command\": ");
  expect_error([&] { open(0.1); }, {"stage.json", "not valid JSON"});
  write_file_atomic(folder / "base/stage.json", "{\"command\": 3}");
  expect_error([&] { open(0.1); }, {"stage.json", "'command'"});
}

TEST_F(StageTest, FinishNeedsItsOutputs) {
  Stage stage = open(0.1);
  expect_error([&] { stage.finish({"weights"}, {}); }, {"weights"});
  EXPECT_FALSE(read_json(folder / "base/stage.json").at("done").get<bool>());
}

TEST_F(StageTest, FingerprintFollowsTheOutputs) {
  const fs::path base = folder / "base";
  expect_error([&] { stage_fingerprint(base, "moe-train-base"); },
               {"stage.json", "run `moe-train-base`"}, ExitStatus::usage);
  { const Stage stage = open(0.1); }
  expect_error([&] { stage_fingerprint(base, "moe-train-base"); }, {"not finished"});
  finish(0.1);
  const std::string before = stage_fingerprint(base, "moe-train-base");
  EXPECT_EQ(before.size(), 64U);
  EXPECT_EQ(stage_results(base, "moe-train-base").at("loss"), 0.5);
  expect_error([&] { stage_fingerprint(base, "moe-embed"); }, {"made by `moe-train-base`"},
               ExitStatus::usage);
  Stage stage = open(0.3, true);
  write_file_atomic(base / "weights", "other");
  stage.finish({"weights"}, {});
  EXPECT_NE(stage_fingerprint(base, "moe-train-base"), before);
}

TEST_F(StageTest, WarningsBelongToTheResult) {
  const fs::path record = folder / "base/stage.json";
  {
    Stage stage = open(0.1);
    log_warning("few images");
    write_file_atomic(stage.folder() / "weights", "w");
    stage.finish({"weights"}, Json::object());
  }
  Json written = read_json(record);
  ASSERT_FALSE(written["warnings"].empty());
  EXPECT_EQ(written["warnings"].back(), "few images");
  const auto shown = [&] {
    testing::internal::CaptureStderr();
    EXPECT_TRUE(open(0.1).done());
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(shown(), "");  // this process has said it
  written["warnings"].push_back("of another process");
  write_json(record, written);
  EXPECT_EQ(shown(), "warning: of another process\n");
  EXPECT_EQ(shown(), "");
}

}  // namespace
}  // namespace hardmoe
