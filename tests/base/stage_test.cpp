#include "base/stage.h"

#include <gtest/gtest.h>

#include "base/log.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

class StageTest : public testing::Test {
 protected:
  Stage open(double lr, bool force = false, const std::string& command = "moe-train-base") {
    return Stage({folder / "base", command, {{"lr", lr}, {"data", {{"sha", "ab"}}}}, force});
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
  fs::create_directories(folder / "base");
  write_file_atomic(folder / "base/thesis.tex", "…");
  expect_error([&] { open(0.1); }, {"thesis.tex", "empty folder"}, ExitStatus::usage);
  open(0.1, true);
  EXPECT_TRUE(has("thesis.tex"));
}

TEST_F(StageTest, TwoProcessesCannotWriteOneStage) {
  const Stage stage = open(0.1);
  expect_error([&] { open(0.1); }, {"another process"});
}

TEST_F(StageTest, KilledBeforeItsFirstRecordStartsAgain) {
  fs::create_directories(folder / "base");
  write_file_atomic(folder / "base/stage.json.4242.tmp", "{");
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
