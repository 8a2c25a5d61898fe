// The whole method from one file, and each of its commands as a shell uses it.
#include <algorithm>
#include <cstdlib>
#include <map>

#include "engine/engine.h"
#include "pipeline/commands.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

class WholeRun : public testing::Test {
 protected:
  void SetUp() override {
    const char* device = std::getenv("HARDMOE_TEST_DEVICE");  // the CPU if unset
    if (device != nullptr) {
      try {
        make_engine(device);
      } catch (const Error& error) {
        GTEST_SKIP() << "no GPU: " << error.what();
      }
    }
    write_pictures(folder.path(), 320);
    std::ofstream(folder / "c.yaml") << small_config << R"(
eval: {top_experts: 1}
ingest: {sources: [images.jsonl], val_fraction: 0.25}
run: {parallel: 2}
)"
                                     << "device: " << (device == nullptr ? "cpu" : device) << "\n";
  }
  std::string sh(const std::string& line) const { return output_of(folder.path(), line); }

  TemporaryFolder folder;
};

/// When each file of a finished run was last written.
std::map<std::string, fs::file_time_type> times_under(const fs::path& folder) {
  std::map<std::string, fs::file_time_type> times;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    const bool of_each_run = name.starts_with("logs/") || name.ends_with("/.lock") ||
                             name.find('/') == std::string::npos;
    if (entry.is_regular_file() && !of_each_run) times[name] = entry.last_write_time();
  }
  return times;
}

TEST_F(WholeRun, LearnsAndIsNotDoneTwice) {
  const std::string table = sh("moe-run c.yaml --out run");
  const auto lines = split(table, '\n');
  EXPECT_TRUE(lines[0].starts_with("against tags")) << table;
  // Three tables of five, two gaps, the note on who is ahead.
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 18) << table;

  const Json summary = read_json(folder / "run/summary.json")["evaluations"];
  ASSERT_EQ(summary.size(), 4U);
  for (const Json& row : summary) {
    EXPECT_GT(row["truth"]["P@1"], 0.8) << row;  // always the same tag: 0.5
    EXPECT_GT(row["tags"]["P@1"], 0.75) << row;
    EXPECT_GE(row["truth"]["mAP"], row["tags"]["mAP"]) << row;
    EXPECT_GT(row["training_seconds"], 0) << row;
  }
  EXPECT_EQ(summary[3]["name"], "mixture, shared decoder");
  EXPECT_EQ(summary[0]["parameters"], summary[1]["parameters"]);
  EXPECT_GT(summary[2]["parameters"], summary[3]["parameters"]);  // two decoders, one
  const Json partition = read_json(folder / "run/partition/partition.json");
  EXPECT_LE(partition["imbalance"], 1.06);

  const auto before = times_under(folder / "run");
  EXPECT_GT(before.size(), 60U);
  EXPECT_EQ(before.count("base/checkpoint.safetensors"), 0U);
  EXPECT_EQ(sh("moe-run c.yaml --out run"), table);
  EXPECT_EQ(times_under(folder / "run"), before) << "a finished stage was done again";
}

TEST_F(WholeRun, ControlsAndSeedsAddToWhatIsThere) {
  const std::string short_run =
      "moe-run c.yaml --out run --set base.epochs=2 --set expert.epochs=1 --set decoder.epochs=1 ";
  sh(short_run + "--set run.controls=none");
  const auto before = times_under(folder / "run");
  const std::string table = sh(short_run + "--set run.controls=all --set run.seeds=2");
  const auto after = times_under(folder / "run");
  for (const auto& [name, time] : before) {
    EXPECT_EQ(after.at(name), time) << name << " was made again";
  }
  const Json summary = read_json(folder / "run/summary.json");
  EXPECT_EQ(summary["evaluations"].size(), 20U);
  ASSERT_EQ(summary["table"].size(), 20U);  // tags and truth
  std::map<std::string, Json> rows;
  for (const Json& row : summary["table"]) {
    if (row["labels"] == "truth") rows[row["key"]] = row;
  }
  for (const auto& [key, row] : rows) {
    EXPECT_EQ(row["seeds"], 2) << key;
    EXPECT_TRUE(row["P@1_error"].is_number()) << row;
    EXPECT_EQ(row["lead"].is_null(), key == "local") << row;
    if (key == "local") continue;
    EXPECT_LE(row["lead_low"], row["lead"]) << row;
  }
  // What is said to cost as much does.
  const auto cost = [&](const char* key, const char* of) { return rows.at(key)[of].get<double>(); };
  EXPECT_NEAR(cost("wider", "flops_per_image") / cost("local", "flops_per_image"), 1, 0.1);
  EXPECT_NEAR(cost("ensemble", "training_flops") / cost("longer", "training_flops"), 1, 0.05);
  EXPECT_NEAR(cost("wider", "training_flops") / cost("longer", "training_flops"), 1, 0.05);
  EXPECT_GT(cost("steps", "training_flops"), cost("local", "training_flops"));
  EXPECT_EQ(table.find("nan"), std::string::npos) << table;
  EXPECT_EQ(sh(short_run + "--set run.controls=all --set run.seeds=2"), table);
  EXPECT_EQ(times_under(folder / "run"), after) << "a finished stage was done again";
}

TEST_F(WholeRun, PrintedCommandsDoTheSame) {
  sh("moe-run c.yaml --out run --set run.controls=false");
  sh("moe-run c.yaml --out typed --set run.controls=false --dry-run > commands && sh -e commands");
  for (const char* name :
       {"base/model.safetensors", "embedding/train.npy", "partition/assignment.npy",
        "experts/0/model.safetensors", "experts/1/model.safetensors", "decoder/decoder.safetensors",
        "eval/shared/metrics.json"}) {
    EXPECT_EQ(sha256_of_file(folder / "run" / name), sha256_of_file(folder / "typed" / name))
        << name;
  }
}

TEST_F(WholeRun, AnExpertTrainsTheSameFromItsOwnShards) {
  sh("moe-run c.yaml --out run --set run.controls=false");
  sh("moe-run c.yaml --out run --set run.controls=false --dry-run > commands");
  sh("$(grep '/moe-partition ' commands) run/dataset --write-shards shards");
  const auto times = times_under(folder / "shards");
  sh("$(grep '/moe-partition ' commands) run/dataset --write-shards shards");
  EXPECT_EQ(times_under(folder / "shards"), times) << "done again";
  // On a node that has the index and one expert's shards.
  sh("rm shards/shards/part-00000-*.tar shards/shards/val-*.tar");
  sh("$(grep '/moe-train-expert .*--expert 1' commands | "
     "sed 's,run/dataset,shards,; s,run/experts/1,again,')");
  EXPECT_EQ(sha256_of_file(folder / "again/model.safetensors"),
            sha256_of_file(folder / "run/experts/1/model.safetensors"));
  const Outcome other = run(folder.path(),
                            "$(grep '/moe-train-expert .*--expert 0' commands | "
                            "sed 's,run/dataset,shards,; s,run/experts/0,other,')");
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.err.find("part-00000-000000.tar: this shard is not on this machine"),
            std::string::npos)
      << other.err;
}

TEST_F(WholeRun, EmbedsImagesItWasNotTrainedOn) {
  sh("moe-run c.yaml --out run --set run.controls=false");
  const std::string mixture = " --base run/base --partition run/partition --experts run/experts";
  // By the decoder's own images: as it was trained, where the gater agrees with the balanced fit.
  sh("moe-embed run/dataset" + mixture + " --out again");
  const Tensor trained = load_npy(folder / "run/decoder/train.npy");
  const Tensor again = load_npy(folder / "again/train.npy");
  ASSERT_EQ(again.shape(), trained.shape());
  int64_t same = 0;
  for (int64_t i = 0; i < again.size(0); ++i) {
    const auto row = [&](const Tensor& tensor) {
      return tensor.as<float>().subspan(static_cast<size_t>(i * tensor.size(1)),
                                        static_cast<size_t>(tensor.size(1)));
    };
    same += std::ranges::equal(row(trained), row(again)) ? 1 : 0;
  }
  EXPECT_GE(same, again.size(0) * 9 / 10);

  // Other images, with a tag that the base does not know.
  std::ofstream(folder / "new.jsonl") << R"({"image": "pictures/0001.png", "tags": ["new"]})"
                                         "\n"
                                      << R"({"image": "pictures/0002.png", "tags": ["new"]})"
                                         "\n";
  sh("moe-ingest new.jsonl --out new");
  sh("moe-embed new" + mixture + " --half --out unified");
  sh("moe-embed new --model run/base --out features");
  EXPECT_EQ(load_npy(folder / "unified/train.npy").shape(), (Shape{2, again.size(1)}));
  EXPECT_EQ(load_npy(folder / "features/train.npy").shape(), (Shape{2, again.size(1)}));
}

TEST_F(WholeRun, ARefusedRunChangesNothing) {
  sh("moe-run c.yaml --out run --set run.controls=false");
  const std::string config = read_file(folder / "run/config.yaml");
  const Outcome changed = run(folder.path(), "moe-run c.yaml --out run --set base.epochs=7");
  EXPECT_EQ(changed.status, 2);
  EXPECT_NE(changed.err.find("base.epochs: was"), std::string::npos) << changed.err;
  EXPECT_EQ(read_file(folder / "run/config.yaml"), config);
  for (const char* taken : {"pictures", "run/base"}) {
    const Outcome outcome = run(folder.path(), std::string("moe-run c.yaml --out ") + taken);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_NE(outcome.err.find("is no folder of a run"), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(folder / taken / "logs"));
  }
  sh("moe-ingest images.jsonl --out whole");
  std::ofstream(folder / "whole.yaml") << "run: {dataset: whole}\n";
  const Outcome without = run(folder.path(), "moe-run whole.yaml --out other");
  EXPECT_EQ(without.status, 2);
  EXPECT_NE(without.err.find("no split 'val'"), std::string::npos) << without.err;
  EXPECT_FALSE(fs::exists(folder / "other/base"));
}

TEST_F(WholeRun, SplittingAnExpertTrainsOnlyItsHalves) {
  sh("moe-run c.yaml --out run --set run.controls=false");
  sh("moe-partition run/embedding --halve-largest run/partition --out split");
  sh("cp -r run/experts experts");
  const Json parts = read_json(folder / "split/partition.json");
  ASSERT_EQ(parts["sizes"].size(), 3U);
  const auto assignment = load_npy(folder / "split/assignment.npy");
  const auto before = load_npy(folder / "run/partition/assignment.npy");
  int halved = -1;  // whose images are not all its own any more
  for (int64_t i = 0; i < before.elements(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (assignment.as<uint16_t>()[at] == 2) halved = before.as<uint16_t>()[at];
  }
  ASSERT_GE(halved, 0);
  const std::string expert =
      "moe-train-expert run/dataset --config c.yaml --base run/base --partition split --expert ";
  const std::string other = std::to_string(1 - halved);
  const Outcome kept = run(folder.path(), expert + other + " --out experts/" + other);
  EXPECT_NE(kept.err.find("already done"), std::string::npos) << kept.err;
  const std::string half = std::to_string(halved);
  sh(expert + half + " --out experts/" + half + " --force");
  sh(expert + "2 --out experts/2");
  sh("moe-eval run/dataset --base run/base --partition split --experts experts");
}

TEST_F(WholeRun, ABatchIsNotMoreThanTheImages) {
  sh("moe-ingest images.jsonl --out data");
  const Outcome base =
      run(folder.path(), "moe-train-base data --config c.yaml --batch 1000 --epochs 2 --out base");
  EXPECT_EQ(base.status, 0) << base.err;
  EXPECT_NE(base.err.find("base.batch is 1000, there are 320 images"), std::string::npos)
      << base.err;
  EXPECT_EQ(Json::parse(base.out)["steps"], 2);
}

TEST_F(WholeRun, TakesRandomPartsAndSeveralExpertsAnImage) {
  sh("moe-run c.yaml --out run --set partition.method=random --set run.controls=false "
     "--set eval.top_experts=2 --set expert.start=scratch --set base.precision=fp32 --seed 3 "
     "--set base.sampling=square_root --set expert.sampling=uniform --set "
     "decoder.sampling=uniform");
  // Colours are rarer than shapes, and every image has one: copies of some.
  const Json base = read_json(folder / "run/base/stage.json");
  EXPECT_GT(base["results"]["images"],
            read_json(folder / "run/dataset/dataset.json")["splits"]["train"]["images"]);
  const Json summary = read_json(folder / "run/summary.json")["evaluations"];
  EXPECT_EQ(summary.size(), 3U);
  EXPECT_GT(summary[0]["truth"]["P@1"], 0.8);
  EXPECT_GT(summary[1]["temperature"], 0);
  sh("moe-run c.yaml --out tag --set partition.method=top-tag --set run.controls=false");
}

TEST_F(WholeRun, CommandsWorkInPipes) {
  sh("head -64 images.jsonl | moe-ingest - --out piped --quiet");
  const auto data = read_json(folder / "piped/dataset.json");
  EXPECT_EQ(data["splits"]["train"]["images"], 64);
  EXPECT_EQ(sh("moe-ingest --verify piped").find("piped: 64 images in 1 shard of "), 0U);
  EXPECT_NE(sh("moe-tags piped").find("64 images, 6 tags"), std::string::npos);
  // Each shape is on half of the images.
  sh("moe-tags piped --suggest-stop-tags - > stop.txt");
  const std::string fewer =
      sh("head -64 images.jsonl | moe-ingest - --stop-tags stop.txt --out stopped --quiet");
  EXPECT_NE(fewer.find("vocabulary: 4 of 4 tags"), std::string::npos) << fewer;
  const std::string table = sh(
      R"(printf '{"image":"pictures/0001.png","tags":["one"]}\n' | moe-ingest - --out one --quiet)");
  EXPECT_NE(table.find("vocabulary: 1 of 1 tags, first one 1"), std::string::npos) << table;

  const std::string result =
      sh("moe-train-base piped --config c.yaml --epochs 1 --out base 2>err | cat");
  EXPECT_EQ(Json::parse(result)["images"], 64);
  EXPECT_EQ(std::count(result.begin(), result.end(), '\n'), 1);
  EXPECT_EQ(sh("moe-train-base piped --config c.yaml --epochs 1 --out base --quiet"), result);
  EXPECT_EQ(Json::parse(sh("moe-embed piped --model base --half --out e"))["dimensions"], 64);
  EXPECT_NE(sh("moe-partition e --num-experts 3 --out p | tail -3").find("imbalance"),
            std::string::npos);
  for (const char* expert : {"0", "1", "2"}) {
    sh(fmt::format(
        "moe-train-expert piped --base base --partition p --expert {0} --batch 8 --epochs 1 "
        "--out experts/{0}",
        expert));
  }
  const std::string mixture = " --base base --partition p --experts experts --split train";
  const Json shared =
      Json::parse(sh("moe-train-decoder piped --base base --partition p --experts experts --batch "
                     "16 --out d >/dev/null"
                     " && moe-eval piped --decoder d --top-experts 2 --temperature 1 --json" +
                     mixture));
  EXPECT_EQ(shared["tags"]["images"], 64);
  EXPECT_EQ(shared["tags"]["experts"].size(), 3U);
  EXPECT_EQ(shared["temperature"], 1.0);
  const std::string metrics = sh("moe-eval piped" + mixture);
  EXPECT_NE(metrics.find("expert 2"), std::string::npos);
  EXPECT_EQ(sh("moe-eval piped --out m" + mixture), metrics);
  EXPECT_EQ(sh("moe-eval piped --out m" + mixture), metrics);
  EXPECT_EQ(Json::parse(sh("moe-eval piped --json --out m" + mixture)),
            read_json(folder / "m/metrics.json"));
}

TEST_F(WholeRun, EveryCommandHasHelpAndVersion) {
  for (const char* command : {"ingest", "tags", "train-base", "embed", "partition", "train-expert",
                              "train-decoder", "eval", "run"}) {
    const std::string name = fmt::format("moe-{}", command);
    EXPECT_EQ(sh(name + " --version").find(name + " (hardmoe) "), 0U);
    const std::string help = sh(name + " --help");
    for (const char* word : {"--set", "--threads", "--quiet", "Exit status"}) {
      EXPECT_NE(help.find(word), std::string::npos) << name << " --help: " << word;
    }
  }
}

}  // namespace
}  // namespace hardmoe
