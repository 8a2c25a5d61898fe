// What moe-run and the commands do when the machine, a signal or another process comes in between.
#include <sys/stat.h>

#include <memory>
#include <optional>

#include "base/file_lock.h"
#include "pipeline/commands.h"

namespace hardmoe {
namespace {

class RunningCommands : public testing::Test {
 protected:
  void SetUp() override {
    write_pictures(folder.path(), 200);
    std::ofstream(folder / "c.yaml")
        << small_config << "ingest: {sources: [images.jsonl], val_fraction: 0.2}\n"
        << "run: {controls: none}\n";
  }
  std::string sh(const std::string& line) const { return output_of(folder.path(), line); }
  void make_data() const {
    sh("moe-ingest images.jsonl --val-fraction 0.2 --selection-fraction 0.2 --quiet --out data");
  }
  int64_t log_lines(const std::string& stage) const {
    const fs::path log = folder / stage / "log.jsonl";
    const std::string text = fs::exists(log) ? read_file(log) : "";
    return std::count(text.begin(), text.end(), '\n');
  }
  TemporaryFolder folder;
};

constexpr const char* long_base =
    "moe-train-base data --config c.yaml --epochs 200 --quiet --out base";

TEST_F(RunningCommands, SigusrOneAndAHangupAreResumableAsSigtermIs) {
  make_data();
  for (const int signal : {SIGUSR1, SIGHUP}) {
    fs::remove_all(folder / "base");
    Running running(folder.path(), std::string("exec ") + long_base);
    ASSERT_TRUE(running.reaches([&] { return log_lines("base") >= 3; }));
    const Outcome outcome = running.end(signal);
    EXPECT_EQ(outcome.status, 75) << outcome.err;
    EXPECT_NE(outcome.err.find("run the same command again to resume"), std::string::npos);
    EXPECT_TRUE(fs::exists(folder / "base/checkpoint.safetensors"));
  }
}

TEST_F(RunningCommands, TwoInterruptsEndAtOnceAndAreResumable) {
  make_data();
  const std::string line =
      "moe-train-base data --config c.yaml --epochs 12 --set base.checkpoint_minutes=0.0001 "
      "--quiet";
  sh(line + " --out whole");
  Outcome outcome;
  {
    // The second one comes before the first has had an effect.
    Running running(folder.path(), "exec " + line + " --out base");
    ASSERT_TRUE(running.reaches([&] { return log_lines("base") >= 9; }));
    outcome = running.end_twice(SIGINT);
  }
  EXPECT_EQ(outcome.status, 75) << outcome.err;
  sh(line + " --out base");
  EXPECT_EQ(sha256_of_file(folder / "base/model.safetensors"),
            sha256_of_file(folder / "whole/model.safetensors"));
}

TEST_F(RunningCommands, ASignalThatAParentIgnoresOrBlocksIsNoObstacle) {
  // Such a parent's children would otherwise not be waited for, and could not be stopped.
  const Outcome outcome =
      run(folder.path(), "trap '' CHLD; exec timeout 100 moe-run c.yaml --out run --quiet");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
}

TEST_F(RunningCommands, ARunWaitsForStagesThatStillSave) {
  sh("moe-run c.yaml --out run --quiet");
  fs::remove_all(folder / "run/eval");
  std::optional<FileLock> lock(std::in_place, folder / "run/decoder/.lock", "decoder");
  Running running(folder.path(), "exec moe-run c.yaml --out run");
  ASSERT_TRUE(running.reaches([&] { return fs::exists(folder / "run/eval/local/stage.json"); }));
  lock.reset();
  const Outcome outcome = running.wait();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(
      outcome.err.find("run/decoder is being written by process " + std::to_string(::getpid())),
      std::string::npos)
      << outcome.err;
}

TEST_F(RunningCommands, StagesAreRunByName) {
  const Outcome early = run(folder.path(), "moe-run c.yaml --out run --only 'expert 1'");
  EXPECT_EQ(early.status, 2);
  EXPECT_NE(early.err.find("expert 1 needs what is not done yet:\n  base\n  partition"),
            std::string::npos)
      << early.err;
  EXPECT_FALSE(fs::exists(folder / "run/config.yaml"));
  EXPECT_EQ(sh("moe-run c.yaml --out run --until partition --quiet"), "") << "no table yet";
  EXPECT_FALSE(fs::exists(folder / "run/experts"));
  sh("moe-run c.yaml --out run --only expert --quiet");
  const std::string list = sh("moe-run c.yaml --out run --list");
  EXPECT_NE(list.find("expert 1              done\n"), std::string::npos) << list;
  EXPECT_NE(list.find("decoder            waiting\n"), std::string::npos) << list;
  EXPECT_EQ(sh("moe-run c.yaml --out run --from decoder --quiet"), "");
  EXPECT_NE(sh("moe-run c.yaml --out run --only evaluation --quiet").find("P@1"), std::string::npos)
      << "all is done";
}

TEST_F(RunningCommands, SeveralWorkOnOneRunAndEachStageIsRunOnce) {
  sh("moe-run c.yaml --out whole --quiet");
  std::vector<std::unique_ptr<Running>> running;
  for (int i = 0; i < 3; ++i) {
    running.push_back(std::make_unique<Running>(folder.path(), "exec moe-run c.yaml --out run"));
  }
  std::string said;
  for (auto& one : running) {
    const Outcome outcome = one->wait();
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("P@1"), std::string::npos);
    said += outcome.err;
  }
  EXPECT_NE(said.find("is being written by "), std::string::npos) << said;
  for (const char* file :
       {"base/model.safetensors", "experts/1/model.safetensors", "decoder/decoder.safetensors"}) {
    EXPECT_EQ(sha256_of_file(folder / "run" / file), sha256_of_file(folder / "whole" / file));
  }
}

TEST_F(RunningCommands, TwoConfigurationsAtOnceAreRefused) {
  Running running(folder.path(), "exec moe-run c.yaml --out run --set base.epochs=100 --quiet");
  ASSERT_TRUE(running.reaches([&] { return log_lines("run/base") >= 3; }));
  const std::string before = read_file(folder / "run/config.yaml");
  const Outcome other = run(folder.path(), "moe-run c.yaml --out run --set base.epochs=3");
  EXPECT_EQ(other.status, 2) << other.err;
  for (const char* words :
       {"works on this run by another configuration", "base.epochs: was 100.0, is 3.0"}) {
    EXPECT_NE(other.err.find(words), std::string::npos) << other.err;
  }
  EXPECT_EQ(read_file(folder / "run/config.yaml"), before);
  EXPECT_EQ(running.end(SIGTERM).status, 75);
}

TEST_F(RunningCommands, KeepsGoingAndSaysHowToGoOn) {
  sh("moe-run c.yaml --out run --quiet");
  for (const char* name : {"experts/0", "experts/1", "decoder", "eval"}) {
    fs::remove_all(folder / "run" / name);
  }
  fs::create_directories(folder / "run/experts/0");
  std::ofstream(folder / "run/experts/0/thesis.tex") << "not ours";
  const Outcome outcome = run(folder.path(), "moe-run c.yaml --out run --keep-going");
  EXPECT_EQ(outcome.status, 2) << outcome.err;
  for (const char* words :
       {"expert 0 failed (exit status 2): ", "thesis.tex", "not begun", "[", "expert 1: "}) {
    EXPECT_NE(outcome.err.find(words), std::string::npos) << words << "\n" << outcome.err;
  }
  EXPECT_TRUE(fs::exists(folder / "run/experts/1/model.safetensors"));
  EXPECT_TRUE(fs::exists(folder / "run/eval/base/metrics.json")) << "it needs no expert";
  const Json status = Json::parse(sh("moe-run c.yaml --out run --status --json"));
  EXPECT_EQ(status["counts"]["failed"], 1);
  EXPECT_EQ(status["counts"]["waiting"], 3) << "decoder and mixtures";
  EXPECT_NE(sh("moe-run c.yaml --out run --status").find("\nlast errors\nexpert 0: "),
            std::string::npos);
  fs::remove_all(folder / "run/experts/0");
  const std::string again = sh("moe-run c.yaml --out run --retry-failed --quiet");
  EXPECT_NE(again.find("P@1"), std::string::npos) << "all is done";
  EXPECT_EQ(sh("moe-run c.yaml --out run --retry-failed --quiet"), "") << "nothing has failed";
}

TEST_F(RunningCommands, WithoutSlurmNothingIsSubmittedOrWritten) {
  const std::string line =
      "PATH=$(dirname $(command -v moe-run)); moe-run c.yaml --out run --launcher slurm";
  const Outcome outcome = run(folder.path(), line);
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("there is no `sbatch`"), std::string::npos) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  EXPECT_NE(sh(line + " --dry-run").find("#SBATCH --requeue\n"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "run"));
}

TEST_F(RunningCommands, AShardThatShrinksIsNamed) {
  make_data();
  Running running(folder.path(), std::string("exec ") + long_base);
  ASSERT_TRUE(running.reaches([&] { return log_lines("base") >= 3; }));
  for (const auto& entry : fs::directory_iterator(folder / "data/shards")) {
    fs::resize_file(entry.path(), 4096);
  }
  const Outcome outcome = running.wait();
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_NE(outcome.err.find("reading data/shards/"), std::string::npos) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

/// One bit of a file another way than it was written, wherever it is: the command that reads the file
/// names it, or its folder, or goes on from what is whole to the same result.
TEST_F(RunningCommands, AFlippedBitIsNoticed) {
  sh("moe-run c.yaml --out run --quiet");
  const std::string mixture =
      "moe-eval run/dataset --base run/base --partition run/partition --experts run/experts "
      "--decoder run/decoder --quiet --out ";
  const std::string train = "moe-train-base run/dataset --config c.yaml --epochs 1 --quiet --out ";
  const std::string cut = "moe-partition run/embedding --num-experts 2 --quiet --out ";
  struct Case {
    std::string line, result;
    std::vector<std::string> files;
  };
  const std::vector<Case> cases = {
      {mixture,
       "metrics.json",
       {"dataset/dataset.json", "dataset/tags.tsv", "dataset/val/shard.npy",
        "dataset/val/offset.npy", "dataset/val/length.npy", "dataset/val/tag_ptr.npy",
        "dataset/val/tag_ids.npy", "dataset/val/keys.txt", "base/model.safetensors",
        "base/model.yaml", "base/tags.tsv", "base/stage.json", "partition/gater.safetensors",
        "partition/assignment.npy", "partition/stage.json", "experts/1/model.safetensors",
        "experts/1/stage.json", "decoder/decoder.safetensors", "decoder/stage.json"}},
      {train, "model.safetensors", {"dataset/train/offset.npy", "dataset/train/tag_ids.npy"}},
      {cut, "assignment.npy", {"embedding/train.npy", "embedding/stage.json"}}};
  Random random(7, RandomUse::test);
  for (const auto& [line, result, files] : cases) {
    sh(line + "whole");
    for (size_t i = 0; i < 2 * files.size(); ++i) {
      const fs::path file = folder / "run" / files[i / 2];
      const std::string before = read_file(file);
      std::string after = before;
      const size_t bit = random.below(8 * before.size());
      after[bit / 8] = static_cast<char>(after[bit / 8] ^ (1 << bit % 8));
      std::ofstream(file, std::ios::binary | std::ios::trunc) << after;
      const Outcome outcome = run(folder.path(), line + "flipped");
      SCOPED_TRACE(files[i / 2] + ", bit " + std::to_string(bit) + ": " + outcome.err);
      if (outcome.status == 0) {
        EXPECT_EQ(read_file(folder / "flipped" / result), read_file(folder / "whole" / result));
      } else {
        EXPECT_TRUE(outcome.status == 1 || outcome.status == 2) << outcome.status;
        const std::string name = file.filename().string(), where = file.parent_path().filename();
        EXPECT_TRUE(outcome.err.find(name) != std::string::npos ||
                    outcome.err.find(where) != std::string::npos);
      }
      std::ofstream(file, std::ios::binary | std::ios::trunc) << before;
      fs::remove_all(folder / "flipped");
    }
    fs::remove_all(folder / "whole");
  }
}

TEST_F(RunningCommands, JudgesOnTheSelectionSplitAndKeepsTheBestWeights) {
  make_data();
  sh("moe-train-base data --config c.yaml --epochs 8 --quiet --out base");
  int judged = 0;
  double best = 1e9, last = 0;
  for (const auto& text : split(trim(read_file(folder / "base/log.jsonl")), '\n')) {
    const Json line = Json::parse(text);
    if (!line.contains("selection_loss")) continue;
    ++judged;
    EXPECT_TRUE(line.contains("selection/P@1") && line.contains("selection/LRAP"));
    last = line["selection_loss"];
    best = std::min(best, last);
  }
  EXPECT_EQ(judged, 8);
  const Json results = read_json(folder / "base/stage.json").at("results");
  EXPECT_EQ(results.at("selection_loss"), best);
  EXPECT_EQ(fs::exists(folder / "base/best.safetensors"), best < last);
  sh("moe-train-base data --config c.yaml --epochs 8 --val-every 0 --quiet --out plain");
  EXPECT_EQ(sha256_of_file(folder / "base/model.safetensors"),
            sha256_of_file(folder / "plain/model.safetensors"));
  EXPECT_EQ(read_file(folder / "plain/log.jsonl").find("selection"), std::string::npos);
}

}  // namespace
}  // namespace hardmoe
