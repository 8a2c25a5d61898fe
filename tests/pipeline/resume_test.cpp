// Commands stopped in the middle: the same command goes on and ends with the same bytes as one that
// was never stopped.
#include <algorithm>

#include "base/error.h"
#include "base/file_lock.h"
#include "engine/engine.h"
#include "pipeline/commands.h"

namespace hardmoe {
namespace {

class Resume : public testing::Test {
 protected:
  void SetUp() override {
    write_pictures(folder.path(), 200);
    std::ofstream(folder / "c.yaml")
        << small_config << "run: {dataset: data, parallel: 2, controls: false}\n";
    output_of(folder.path(), "moe-ingest images.jsonl --val-fraction 0.2 --out data");
  }

  int64_t log_lines(const std::string& stage) const {
    const fs::path log = folder / stage / "log.jsonl";
    if (!fs::exists(log)) return 0;
    const std::string text = read_file(log);
    return std::count(text.begin(), text.end(), '\n');
  }

  /// Starts a line, and sends `signal` once the log of `stage` has `lines`. Its status. Where a
  /// stall of the machine lets it finish first, the stage is removed and done again.
  int stopped(const std::string& line, const std::string& stage, int64_t lines, int signal) const {
    int status = 0;
    for (int attempt = 0; attempt < 3 && status == 0; ++attempt) {
      if (attempt > 0) fs::remove_all(folder / stage);
      Running running(folder.path(), "exec " + line);
      EXPECT_TRUE(running.reaches([&] { return log_lines(stage) >= lines; })) << line;
      status = running.end(signal).status;
    }
    return status;
  }

  /// Waits until nobody writes the stage.
  void wait_for_lock(const std::string& stage) const {
    for (int i = 0; i < 1000; ++i) {
      try {
        const FileLock lock(folder / stage / ".lock", stage);
        return;
      } catch (const Error&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
    FAIL() << stage << " stays locked";
  }

  void expect_same(const std::string& name, const std::string& other) const {
    EXPECT_EQ(sha256_of_file(folder / name), sha256_of_file(folder / other)) << name;
  }
  std::string sh(const std::string& line) const { return output_of(folder.path(), line); }

  TemporaryFolder folder;
};

/// Every optimiser's state, and both arithmetics where the machine has them; bf16 with one thread,
/// as oneDNN's threads spin there while they wait for one another: 30 times slower on a busy
/// machine. 5 steps an epoch.
std::vector<std::string> settings() {
  std::vector<std::string> all = {"", " --set base.optimizer=adamw --set base.ema=0.9 --lr 0.002"};
  if (make_engine("cpu")->supports(Precision::bf16)) all.push_back(" --precision bf16 --threads 1");
  return all;
}

TEST_F(Resume, ABaseStoppedByASignalEndsAsAnUninterruptedOne) {
  int number = 0;
  for (const auto& setting : settings()) {
    const std::string train = "moe-train-base data --config c.yaml --epochs 14 --quiet" + setting;
    const std::string out = "stopped" + std::to_string(number),
                      whole = "whole" + std::to_string(number);
    ++number;
    sh(train + " --out " + whole);
    for (const int64_t lines : {13, 37}) {  // stopped twice, in the third epoch and the eighth
      EXPECT_EQ(stopped(train + " --out " + out, out, lines, lines == 13 ? SIGTERM : SIGINT), 75);
      EXPECT_TRUE(fs::exists(folder / out / "checkpoint.safetensors"));
      EXPECT_FALSE(fs::exists(folder / out / "model.safetensors"));
    }
    sh(train + " --out " + out);
    expect_same(out + "/model.safetensors", whole + "/model.safetensors");
    EXPECT_FALSE(fs::exists(folder / out / "checkpoint.safetensors"));
    EXPECT_EQ(log_lines(out), 70);  // a line a step, none twice
  }
}

TEST_F(Resume, AKilledBaseEndsAsAnUninterruptedOne) {
  const std::string train =
      "moe-train-base data --config c.yaml --epochs 14 --quiet --set "
      "base.checkpoint_minutes=0.0005";
  sh(train + " --out whole");
  // Most steps come long after a checkpoint, so the kill loses some and they are done again.
  EXPECT_EQ(stopped(train + " --out killed", "killed", 33, SIGKILL), 137);
  EXPECT_TRUE(fs::exists(folder / "killed/checkpoint.safetensors"));
  // What a kill in the middle of a write leaves behind is cleared away.
  std::ofstream(folder / "killed/checkpoint.safetensors.4242.tmp") << "half a checkp";
  sh(train + " --out killed");
  expect_same("killed/model.safetensors", "whole/model.safetensors");
  EXPECT_EQ(log_lines("killed"), 70);
  EXPECT_FALSE(fs::exists(folder / "killed/checkpoint.safetensors.4242.tmp"));
}

TEST_F(Resume, AKillBeforeTheFirstCheckpointBeginsAnew) {
  const std::string train = "moe-train-base data --config c.yaml --epochs 8 --quiet";
  sh(train + " --out whole");
  EXPECT_EQ(stopped(train + " --out killed", "killed", 7, SIGKILL), 137);
  sh(train + " --out killed");
  expect_same("killed/model.safetensors", "whole/model.safetensors");
  EXPECT_EQ(log_lines("killed"), 40);
}

TEST_F(Resume, ADamagedCheckpointFallsBackToTheOneBefore) {
  const std::string train =
      "moe-train-base data --config c.yaml --epochs 4 --set base.checkpoint_minutes=0.00001";
  sh(train + " --quiet --out whole");
  EXPECT_EQ(stopped(train + " --quiet --out killed", "killed", 9, SIGKILL), 137);
  const fs::path newest = folder / "killed/checkpoint.safetensors";
  ASSERT_TRUE(fs::exists(newest) && fs::exists(folder / "killed/checkpoint.before.safetensors"));
  flip_four_bytes(newest, fs::file_size(newest) / 2);
  const Outcome resumed = run(folder.path(), train + " --out killed");
  EXPECT_EQ(resumed.status, 0);
  for (const char* words : {"killed/checkpoint.safetensors: damaged", "resuming at step",
                            "resuming from killed/checkpoint.before.safetensors"}) {
    EXPECT_NE(resumed.err.find(words), std::string::npos) << resumed.err;
  }
  expect_same("killed/model.safetensors", "whole/model.safetensors");
  EXPECT_EQ(log_lines("killed"), 20);
}

TEST_F(Resume, ForceBeginsEachStageFromNothing) {
  sh("moe-train-base data --config c.yaml --epochs 1 --quiet --out base && moe-embed data --model "
     "base --quiet --out embedding && moe-partition embedding --num-experts 2 --quiet --out "
     "partition "
     "&& for k in 0 1; do moe-train-expert data --base base --partition partition --expert $k "
     "--config c.yaml --epochs 1 --quiet --out experts/$k; done");
  const std::string mixture = " --base base --partition partition --experts experts";
  struct Kind {
    std::string line, other;  ///< of other inputs
    std::vector<std::string> results;
  };
  const auto seeds = [&](const std::string& line, const char* often,
                         std::vector<std::string> results) {
    return Kind{line + " --quiet --seed 3", line + " --quiet --seed 2 --set " + often,
                std::move(results)};
  };
  const std::vector<Kind> kinds = {
      seeds("moe-train-base data --config c.yaml --epochs 1", "base.checkpoint_minutes=0.00001",
            {"model.safetensors", "model.yaml"}),
      seeds("moe-train-expert data --base base --partition partition --expert 1 --config c.yaml "
            "--epochs 1",
            "expert.checkpoint_minutes=0.00001", {"model.safetensors"}),
      seeds("moe-train-decoder data" + mixture + " --config c.yaml",
            "decoder.checkpoint_minutes=0.00001", {"decoder.safetensors", "train.npy"}),
      seeds("moe-partition embedding --num-experts 6", "partition.checkpoint_seconds=0",
            {"assignment.npy", "gater.safetensors", "partition.json"}),
      {"moe-embed data --model base --quiet",
       "moe-embed data --model experts/0 --quiet --half",
       {"train.npy"}},
      {"moe-eval data --model base --quiet",
       "moe-eval data --model experts/0 --quiet",
       {"metrics.json"}},
  };
  for (const Kind& kind : kinds) {
    SCOPED_TRACE(kind.line);
    fs::remove_all(folder / "fresh");
    sh(kind.line + " --out fresh");
    for (const int interrupted : {12, 40, 400}) {  // the first early, the last perhaps not at all
      fs::remove_all(folder / "x");
      if (run_until_change(folder.path(), kind.other + " --out x", interrupted) < 0) {
        GTEST_SKIP() << "processes may not be traced here";
      }
      const std::string line = kind.line + " --out x --force";
      if (interrupted == 12) fs::remove(folder / "x/stage.json");
      // Killed before the removal, in its middle, and at its end; then without --force.
      const int status = run_until_change(folder.path(), line,
                                          interrupted == 12   ? 1
                                          : interrupted == 40 ? 6
                                                              : 9);
      EXPECT_EQ(status, 137);
      const bool begun = fs::exists(folder / "x/stage.json") &&
                         read_file(folder / "x/stage.json").find("clearing") != std::string::npos;
      sh(begun ? kind.line + " --out x" : line);
      for (const auto& name : kind.results) expect_same("x/" + name, "fresh/" + name);
    }
  }
}

TEST_F(Resume, AWholeRunEndsAsAnUninterruptedOne) {
  const std::string run =
      "moe-run c.yaml --quiet --set base.epochs=10 --set expert.epochs=30 --set expert.log_every=1"
      " --set decoder.epochs=2000 --set decoder.log_every=100 --out ";
  sh(run + "whole");
  EXPECT_EQ(stopped(run + "run", "run/base", 13, SIGTERM), 75);
  EXPECT_EQ(stopped(run + "run", "run/experts/1", 20, SIGTERM), 75);
  EXPECT_EQ(stopped(run + "run", "run/experts/0", 40, SIGKILL), 137);
  for (const char* stage : {"run/experts/0", "run/experts/1"}) wait_for_lock(stage);
  EXPECT_EQ(stopped(run + "run", "run/decoder", 10, SIGHUP), 75);
  EXPECT_TRUE(fs::exists(folder / "run/decoder/checkpoint.safetensors"));
  sh(run + "run");
  for (const char* name :
       {"base/model.safetensors", "partition/assignment.npy", "experts/0/model.safetensors",
        "experts/1/model.safetensors", "decoder/train.npy", "decoder/decoder.safetensors",
        "eval/shared/metrics.json"}) {
    expect_same(std::string("run/") + name, std::string("whole/") + name);
  }
  EXPECT_TRUE(fs::exists(folder / "run/summary.json"));
}

}  // namespace
}  // namespace hardmoe
