// What is told of a run by its files: who runs what, what failed, what was lost.
#include "run/run_status.h"

#include <gtest/gtest.h>
#include <utime.h>

#include <ctime>
#include <fstream>

#include "base/file_lock.h"
#include "base/files.h"
#include "base/folders.h"
#include "run/stage_record.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

class RunViews : public testing::Test {
 protected:
  void SetUp() override {
    make_folders(folder / "logs");
    for (const char* name : {"base", "expert"}) make_folders(folder / name);
    make_folders(folder / "partition");
    write_json(folder / "partition/partition.json", {{"sizes", {70, 30}}});
    expert = {.process = {"expert 1",
                          {"moe-train-expert", "--device", "cuda:1"},
                          folder / "logs/expert-1.txt"},
              .folder = folder / "expert",
              .part = 1,
              .partition = folder / "partition"};
  }
  StageView look() const { return look_at({expert})[0]; }
  void set_record(const char* state) const {
    write_json(record_file(expert), {{"attempts", 2},
                                     {"where", "process 7 on node9, Slurm job 12_3"},
                                     {"device", "cuda:1"},
                                     {"state", state},
                                     {"error", "no space left"},
                                     {"progress", {{"seconds_left", 90.0}}}});
  }
  TemporaryFolder folder;
  RunStage expert;
};

TEST_F(RunViews, OfAnExpertThatRunsTellsHowFarItIsAndWhere) {
  EXPECT_EQ(look().activity, Activity::waiting);
  const FileLock lock(folder / "expert/.lock", "expert");
  write_json(folder / "expert/stage.json", {{"done", false}});
  std::ofstream(folder / "expert/log.jsonl")
      << R"({"step":1,"epoch":0.5,"loss":2.25,"images_per_second":80.0,"seconds":1})"
      << "\n"
      << R"({"step":2,"epoch":1.5,"selection_loss":2.0})"
      << "\n"
      << R"({"step":3,"epo)";
  set_record("running");
  const StageView view = look();
  EXPECT_EQ(view.activity, Activity::running);
  EXPECT_EQ(view.images, 30);
  EXPECT_EQ(view.attempts, 2);
  EXPECT_EQ(view.seconds_left, 90);
  const std::string place = view.where.substr(view.where.find(" on ") + 4) + ", cuda:1";
  const std::string blanks(place.size() - 3, ' ');
  EXPECT_EQ(
      view_table({view}),
      "stage       state  images  epoch    loss  images/s  seconds  left  tries" + blanks +
          "where\nexpert 1  running      30   0.50  2.2500        80             90      2  " +
          place + "\n\nlast errors\nexpert 1: no space left\n");
  const Json json = view_json({view});
  EXPECT_EQ(json["counts"]["running"], 1);
  EXPECT_EQ(json["stages"][0]["loss"], 2.25);
  EXPECT_EQ(json["stages"][0]["seconds"], nullptr);
}

TEST_F(RunViews, WhoseProcessIsGoneOrSilentIsLost) {
  write_json(folder / "expert/stage.json", {{"done", false}});
  set_record("running");
  EXPECT_EQ(look().activity, Activity::lost) << "nobody holds the lock";
  EXPECT_TRUE(has_failed(look()));
  const FileLock lock(folder / "expert/.lock", "expert");
  EXPECT_EQ(look().activity, Activity::running);
  const std::time_t long_ago = std::time(nullptr) - 3600;
  const utimbuf times{long_ago, long_ago};
  ASSERT_EQ(::utime(record_file(expert).c_str(), &times), 0);
  EXPECT_EQ(look().activity, Activity::lost) << "its node went, and a file server keeps its lock";
}

TEST_F(RunViews, FailedAndInterruptedAreTwoThings) {
  write_json(folder / "expert/stage.json", {{"done", false}});
  EXPECT_EQ(look().activity, Activity::interrupted) << "no launcher, a typed command";
  set_record("interrupted");
  EXPECT_EQ(look().activity, Activity::interrupted);
  EXPECT_FALSE(has_failed(look()));
  set_record("failed");
  EXPECT_TRUE(has_failed(look()));
  EXPECT_EQ(look().where, "process 7 on node9, Slurm job 12_3");
  // Redone by hand.
  write_json(folder / "expert/stage.json", {{"done", true}, {"seconds", 3.0}});
  EXPECT_EQ(look().activity, Activity::done);
  EXPECT_EQ(look().error, "");
}

TEST_F(RunViews, ARecordCountsAttemptsAndKeepsTheLastError) {
  StageRecord(expert).end("failed", "no space left");
  StageRecord(expert).end("interrupted", "");
  const Json record = read_json(record_file(expert));
  EXPECT_EQ(record["attempts"], 2);
  EXPECT_EQ(record["state"], "interrupted");
  EXPECT_EQ(record["error"], "no space left");
  EXPECT_EQ(record["device"], "cuda:1");
  // A finished stage's command only looks whether it is.
  write_json(folder / "expert/stage.json", {{"done", true}, {"seconds", 3.0}});
  StageRecord(expert).end("done", "");
  Json done = record;
  done["state"] = "done";
  EXPECT_EQ(read_json(record_file(expert)), done);
}

TEST_F(RunViews, ADamagedRecordIsAsNone) {
  write_file_atomic(record_file(expert), "[1, 2");
  EXPECT_EQ(look().attempts, 0);
  StageRecord(expert).end("failed", "no space left");
  EXPECT_EQ(look().attempts, 1);
}

}  // namespace
}  // namespace hardmoe
