// The commands that a configuration comes to, and the table of what they came to.
#include "run/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/files.h"
#include "base/text.h"
#include "base/threads.h"
#include "expect_error.h"
#include "run/run_checks.h"
#include "run/summary.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

Pipeline plan(const Config& config, bool force = false) {
  return plan_pipeline(config, "/out", "/bin", "/out/config.yaml", force);
}

std::vector<std::string> lines_of(const Pipeline& pipeline) {
  std::vector<std::string> lines;
  for (const size_t stage : order_of(pipeline.stages)) {
    lines.push_back(shell_line(pipeline.stages[stage].process.arguments));
  }
  return lines;
}

/// The stages by their names, each with those it is after.
std::map<std::string, std::string> graph_of(const Pipeline& pipeline) {
  std::map<std::string, std::string> graph;
  for (const RunStage& stage : pipeline.stages) {
    graph[stage.process.name] = join(stage.after, ", ");
  }
  return graph;
}

Config small() {
  Config config;
  config.ingest.sources = {"a.tar", "b c.tar"};
  config.ingest.val_fraction = 0.2;
  config.partition.experts = 2;
  return config;
}

TEST(Pipeline, CommandsComeInTheirOrder) {
  const std::string config = " --config /out/config.yaml";
  const std::string mixture = " --base /out/base --partition /out/partition --experts /out/experts";
  const std::vector<std::string> expected = {
      "/bin/moe-ingest a.tar 'b c.tar' --out /out/dataset" + config,
      "/bin/moe-train-base /out/dataset --out /out/base" + config,
      "/bin/moe-embed /out/dataset --model /out/base --out /out/embedding" + config,
      "/bin/moe-partition /out/embedding --out /out/partition" + config,
      "/bin/moe-train-expert /out/dataset --base /out/base --partition /out/partition --expert 0"
      " --out /out/experts/0" +
          config,
      "/bin/moe-train-expert /out/dataset --base /out/base --partition /out/partition --expert 1"
      " --out /out/experts/1" +
          config,
      "/bin/moe-train-expert /out/dataset --base /out/base --expert all --out /out/longer" + config,
      "/bin/moe-train-decoder /out/dataset --out /out/decoder" + mixture + config,
      "/bin/moe-eval /out/dataset --out /out/eval/base --model /out/base" + config,
      "/bin/moe-eval /out/dataset --out /out/eval/longer --model /out/longer" + config,
      "/bin/moe-eval /out/dataset --out /out/eval/local" + mixture + config,
      "/bin/moe-eval /out/dataset --out /out/eval/shared" + mixture + " --decoder /out/decoder" +
          config};
  EXPECT_EQ(lines_of(plan(small())), expected);
}

TEST(Pipeline, ExpertsAreGivenTheEmbeddingWhereTheyNeedIt) {
  const auto expert_of = [](const Config& config) {
    for (const auto& line : lines_of(plan(config))) {
      if (line.find("--expert 0") != std::string::npos) return line;
    }
    return std::string();
  };
  Config config = small();
  config.expert.outside = 0.5;  // of all others: no distances
  EXPECT_EQ(expert_of(config).find("--embedding"), std::string::npos);
  config.expert.outside_from = OutsideFrom::nearest;
  EXPECT_NE(expert_of(config).find("--embedding /out/embedding "), std::string::npos);
  config.expert.outside = 0;
  EXPECT_EQ(expert_of(config).find("--embedding"), std::string::npos);
  config.expert.overlap = 2;
  config.run.embedding = {"one.npy", "two.npy"};
  config.run.features = {"val.npy"};
  EXPECT_NE(expert_of(config).find("--embedding one.npy two.npy "), std::string::npos);
}

TEST(Pipeline, AnEarlyStopNeedsImagesToStopBy) {
  Config config = small();
  config.expert.patience = 2;
  expect_error([&] { plan(config); }, {"expert.patience", "ingest.selection_fraction"},
               ExitStatus::usage);
  config.ingest.selection_fraction = 0.05;
  EXPECT_NO_THROW(plan(config));
  config.run.embedding = {"train.npy"};
  config.run.features = {"val.npy"};
  expect_error([&] { plan(config); }, {"expert.patience", "run.embedding"}, ExitStatus::usage);
}

TEST(Pipeline, EachStageNamesWhatItReads) {
  EXPECT_EQ(graph_of(plan(small())),
            (std::map<std::string, std::string>{{"ingest", ""},
                                                {"base", "ingest"},
                                                {"embedding", "base"},
                                                {"partition", "embedding"},
                                                {"expert 0", "base, partition"},
                                                {"expert 1", "base, partition"},
                                                {"longer", "base"},
                                                {"decoder", "expert 0, expert 1"},
                                                {"evaluation base", "base"},
                                                {"evaluation longer", "longer"},
                                                {"evaluation local", "expert 0, expert 1"},
                                                {"evaluation shared", "decoder"}}));
  Config config = small();
  config.run.embedding = config.run.features = {"own.npy"};
  EXPECT_EQ(graph_of(plan(config)).at("partition"), "ingest");
  config.ingest.sources.clear();
  config.run.dataset = "/data";
  EXPECT_EQ(graph_of(plan(config)).at("partition"), "");
  EXPECT_EQ(graph_of(plan(config)).at("base"), "");
}

TEST(Pipeline, LogsHaveNamesOfTheirOwn) {
  std::vector<std::string> logs;
  for (const auto& stage : plan(small()).stages) logs.push_back(stage.process.log.string());
  EXPECT_EQ(logs[4], "/out/logs/expert-0.txt");
  std::sort(logs.begin(), logs.end());
  EXPECT_EQ(std::adjacent_find(logs.begin(), logs.end()), logs.end());
}

TEST(Pipeline, OptionsAreHandedOn) {
  Config config = small();
  config.run.controls = false;
  config.ingest.sources.clear();
  config.run.dataset = "/data";
  config.partition.method = PartitionMethod::top_tag;
  config.device = "cuda:1";
  const auto lines = lines_of(plan(config, true));
  ASSERT_EQ(lines.size(), 9U);  // no ingest, no longer, no evaluation of it
  EXPECT_EQ(lines[2],
            "/bin/moe-partition /data /out/embedding --out /out/partition"
            " --config /out/config.yaml --device cuda:1 --force");
  for (const auto& line : lines) {
    EXPECT_NE(line.find("--device cuda:1"), std::string::npos) << line;
    EXPECT_TRUE(line.ends_with("--force")) << line;
    EXPECT_EQ(line.find("longer"), std::string::npos) << line;
  }
}

TEST(Pipeline, AnEmbeddingOfOnesOwnTakesTheBasesPlace) {
  Config config = small();
  config.run.controls = false;
  config.run.embedding = {"clip/a.npy", "clip/b.npy"};
  config.run.features = {"clip/val.npy"};
  const auto lines = lines_of(plan(config));
  ASSERT_EQ(lines.size(), 9U);  // no moe-embed
  EXPECT_EQ(lines[2],
            "/bin/moe-partition clip/a.npy clip/b.npy --out /out/partition --config "
            "/out/config.yaml");
  const std::string mixture = " --base /out/base --partition /out/partition --experts /out/experts";
  EXPECT_EQ(lines[7], "/bin/moe-eval /out/dataset --out /out/eval/local" + mixture +
                          " --features clip/val.npy --config /out/config.yaml");
  EXPECT_EQ(lines[8], "/bin/moe-eval /out/dataset --out /out/eval/shared" + mixture +
                          " --features clip/val.npy --decoder /out/decoder --config "
                          "/out/config.yaml");
  config.run.features.clear();
  expect_error([&] { plan(config); }, {"run.embedding", "needs run.features"}, ExitStatus::usage);
}

TEST(Pipeline, ParallelExpertsShareTheThreads) {
  Config config = small();
  config.run.parallel = 8;
  set_compute_threads(6);
  const Pipeline pipeline = plan(config);
  EXPECT_EQ(pipeline.parallel, 2);
  for (const auto& stage : pipeline.stages) {
    const bool experts = stage.process.name.starts_with("expert ");
    EXPECT_EQ(stage.alone, !experts);
    const auto line = shell_line(stage.process.arguments);
    const int threads = experts ? 3 : 6;  // named where they are not what a command takes by itself
    EXPECT_EQ(line.find(fmt::format("--threads {}", threads)) != std::string::npos,
              threads != available_processors())
        << line;
  }
}

TEST(Pipeline, ExpertsAreSpreadOverGpus) {
  Config config = small();
  config.device = "cuda";
  config.partition.experts = 7;
  config.run.gpus = 3;
  config.run.parallel = 2;
  const int each = available_processors() + 1;  // named, as it is not what a command takes
  set_compute_threads(6 * each);
  const Pipeline pipeline = plan(config);
  const auto& stages = pipeline.stages;
  EXPECT_EQ(pipeline.parallel, 6);
  ASSERT_EQ(stages.size(), 17U);
  for (int k = 0; k < 7; ++k) {
    const ProcessSpec& process = stages[static_cast<size_t>(4 + k)].process;
    EXPECT_EQ(process.name, fmt::format("expert {}", k));
    const auto line = shell_line(process.arguments);
    EXPECT_NE(line.find(fmt::format("--expert {} ", k)), std::string::npos) << line;
    EXPECT_NE(line.find(fmt::format("--device cuda:{} ", k % 3)), std::string::npos) << line;
    EXPECT_NE(line.find(fmt::format("--threads {}", each)), std::string::npos) << line;
    EXPECT_EQ(process.lane, k % 6);
  }
  // Everything else has one GPU.
  for (const size_t other : {1U, 2U, 3U, 11U, 12U, 13U, 14U, 15U, 16U}) {
    const auto& arguments = stages[other].process.arguments;
    const auto device = std::find(arguments.begin(), arguments.end(), "--device");
    ASSERT_NE(device, arguments.end());
    EXPECT_EQ(*std::next(device), "cuda");
  }
  config.run.gpus = 1;
  config.run.parallel = 1;
  EXPECT_EQ(plan(config).parallel, 1);
}

TEST(Pipeline, RefusesWhatIsNotOneDataset) {
  Config config = small();
  config.run.dataset = "/data";
  expect_error([&] { plan(config); }, {"sources", "dataset"}, ExitStatus::usage);
  config.run.dataset.clear();
  config.ingest.sources.clear();
  expect_error([&] { plan(config); }, {"sources", "dataset"}, ExitStatus::usage);
  config = small();
  config.ingest.val_fraction = 1;
  expect_error([&] { plan(config); }, {"ingest.val_fraction", "found 1"}, ExitStatus::usage);
  config = small();
  config.run.parallel = 0;
  expect_error([&] { plan(config); }, {"run.parallel", "found 0"}, ExitStatus::usage);
  config = small();
  config.run.gpus = 2;
  expect_error([&] { plan(config); }, {"run.gpus", "--device cuda"}, ExitStatus::usage);
  config.device = "cuda";
  config.run.gpus = -1;
  expect_error([&] { plan(config); }, {"run.gpus", "found -1"}, ExitStatus::usage);
  config = small();
  config.device = "gpu";
  expect_error([&] { plan(config); }, {"cpu, cuda or cuda:N", "'gpu'"}, ExitStatus::usage);
  config = small();
  config.partition.experts = 0;
  expect_error([&] { plan(config); }, {"partition.experts", "found 0"}, ExitStatus::usage);
}

/// A finished stage that took 10 s, or `seconds` over several runs.
void write_stage(const fs::path& folder, const std::string& command, const Json& results) {
  make_writable_folder(folder);
  write_json(folder / "stage.json", {{"command", command},
                                     {"done", true},
                                     {"outputs", Json::object()},
                                     {"results", results},
                                     {"seconds", 10.0}});
}

TEST(Pipeline, RefusesPatternsOfFrozenParametersThatMatchNothing) {
  Config config = small();
  config.expert.freeze = {"conv1.*", "layer9.*"};
  expect_error([&] { plan(config); }, {"expert.freeze", "layer9.*", "conv1.weight"},
               ExitStatus::usage);
  config.expert.freeze = {"conv1.*"};
  config.decoder.freeze = {"fc.*"};
  expect_error([&] { plan(config); }, {"decoder.freeze", "nothing is left to train"},
               ExitStatus::usage);
  config.decoder.freeze = {"fc.bias"};
  EXPECT_NO_THROW(plan(config));
}

// A dry run leaves planned.yaml; its commands may have been typed before the run is asked for.
TEST(Pipeline, TakesTheFolderWhereItsCommandsWereTyped) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "base");
  expect_error([&] { check_run_folder(folder.path()); }, {"holds 'base'"}, ExitStatus::usage);
  write_file_atomic(folder.path() / "planned.yaml", "seed: 1\n");
  EXPECT_NO_THROW(check_run_folder(folder.path()));
}

TEST(Pipeline, SummaryCountsEveryonesTraining) {
  const TemporaryFolder folder;
  const fs::path out = folder.path();
  write_stage(out / "base", "moe-train-base", {{"seconds", 100.0}});  // resumed: 10 s of them last
  write_stage(out / "embedding", "moe-embed", {{"seconds", 9.0}});
  write_stage(out / "partition", "moe-partition", Json::object());
  for (const char* expert : {"0", "1"}) {
    write_stage(out / "experts" / expert, "moe-train-expert", {{"seconds", 9.5}});
  }
  write_stage(out / "longer", "moe-train-expert", {{"seconds", 8.0}});
  write_stage(out / "decoder", "moe-train-decoder", {{"seconds", 8.0}});
  double precision = 0.5;
  for (const char* name : {"base", "longer", "local", "shared"}) {
    Json metrics = {{"P@1", precision += 0.1}, {"P@5", 0.25}, {"R@10", 0.125}};
    if (std::string(name) == "shared") metrics["R@10"] = nullptr;  // of no images
    write_stage(out / "eval" / name, "moe-eval",
                {{"parameters", 1500000}, {"flops_per_image", 2.5e9}, {"tags", metrics}});
  }
  const Json summary = pipeline_summary(small(), out);
  ASSERT_EQ(summary.size(), 4U);
  EXPECT_EQ(summary[0]["training_seconds"], 100.0);
  EXPECT_EQ(summary[1]["training_seconds"], 110.0);
  EXPECT_EQ(summary[2]["training_seconds"], 140.0);  // base, embedding, partition, two experts
  EXPECT_EQ(summary[3]["training_seconds"], 150.0);
  EXPECT_EQ(summary[3]["name"], "mixture, shared decoder");
  const std::string table = summary_table(summary);
  EXPECT_EQ(table,
            "against tags               P@1    P@5   R@10  parameters  FLOPs an image  seconds\n"
            "base                     0.600  0.250  0.125        1.5M            2.5G      100\n"
            "base, trained as long    0.700  0.250  0.125        1.5M            2.5G      110\n"
            "mixture, local decoders  0.800  0.250  0.125        1.5M            2.5G      140\n"
            "mixture, shared decoder  0.900  0.250      –        1.5M            2.5G      150\n");
}

}  // namespace
}  // namespace hardmoe
