// The commands that a configuration comes to, and the table of what they came to.
#include "run/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/files.h"
#include "engine/network_facts.h"
#include "expect_error.h"
#include "nn/resnet.h"
#include "run/planned.h"
#include "run/run_checks.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

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
  config.expert.judging.patience = 2;
  expect_error([&] { plan(config); }, {"expert.patience", "ingest.selection_fraction"},
               ExitStatus::usage);
  config.ingest.selection_fraction = 0.05;
  EXPECT_NO_THROW(plan(config));
  config.run.embedding = {"train.npy"};
  config.run.features = {"val.npy"};
  expect_error([&] { plan(config); }, {"expert.patience", "run.embedding"}, ExitStatus::usage);
}

TEST(Pipeline, WhatIsFittedOnHeldOutImagesNeedsThem) {
  Config config = small();
  config.mixture.base_share = -1;
  expect_error([&] { plan(config); }, {"mixture.base_share", "ingest.selection_fraction"},
               ExitStatus::usage);
  config.mixture.base_share = 0.5;
  EXPECT_NO_THROW(plan(config));
  config.decoder.split = "selection";
  expect_error([&] { plan(config); }, {"decoder.split", "ingest.selection_fraction"},
               ExitStatus::usage);
  config.ingest.selection_fraction = 0.05;
  EXPECT_NO_THROW(plan(config));
  config.run.embedding = config.run.features = {"own.npy"};
  expect_error([&] { plan(config); }, {"decoder.split", "run.embedding"}, ExitStatus::usage);
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
  config.run.controls = {};
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
  config.run.controls = {};
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

TEST(Pipeline, StagesOfSeveralSeedsShareTheThreads) {
  Config config = small();
  config.run.parallel = 2;
  config.run.seeds = 2;
  set_compute_threads(6);
  for (const char* device : {"cpu", "cuda"}) {
    config.device = device;
    const bool shares = config.device == "cpu";
    for (const auto& stage : plan(config).stages) {
      if (stage.process.name.find("expert ") != std::string::npos) continue;
      EXPECT_EQ(stage.alone, !shares || stage.process.name == "ingest") << stage.process.name;
      if (!shares || stage.process.name == "ingest") continue;
      const std::string line = shell_line(stage.process.arguments);
      EXPECT_EQ(line.find("--threads 3") != std::string::npos, available_processors() != 3) << line;
    }
  }
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

Config with_all_controls() {
  Config config = small();
  config.ingest.sources.clear();
  config.run.dataset = "/data";
  config.run.controls = parse_controls({"all"});
  config.base.epochs = 6;
  config.expert.epochs = 4;
  return config;
}

TEST(Pipeline, EachControlIsAGroupOfStages) {
  const Pipeline pipeline = plan(with_all_controls());
  const auto words = [&](const std::string& name) { return words_of(pipeline, name); };
  const std::string base = "/data --base /out/base --partition ";
  EXPECT_EQ(words("ensemble 0"), "/data --out /out/controls/ensemble/0 --epochs 5");
  EXPECT_EQ(words("ensemble 1"),
            "/data --out /out/controls/ensemble/1 --epochs 5 --seed 1000000001");
  EXPECT_EQ(words("random partition"),
            "/out/embedding --out /out/controls/random/partition --method random");
  EXPECT_EQ(words("top-tag partition"),
            "/data /out/embedding --out /out/controls/top-tag/partition --method top-tag");
  EXPECT_EQ(words("random expert 1"), base +
                                          "/out/controls/random/partition --expert 1 --out "
                                          "/out/controls/random/experts/1");
  EXPECT_EQ(words("steps expert 0"), base +
                                         "/out/partition --expert 0 --out "
                                         "/out/controls/steps/experts/0 --set "
                                         "expert.epochs_of=dataset");
  EXPECT_EQ(words("evaluation base-and-longer"),
            "/data --out /out/eval/base-and-longer --model /out/base --model /out/longer");
  EXPECT_EQ(words("evaluation ensemble"),
            "/data --out /out/eval/ensemble --model /out/controls/ensemble/0 --model "
            "/out/controls/ensemble/1");
  EXPECT_EQ(words("evaluation wider"), "/data --out /out/eval/wider --model /out/controls/wider");
  EXPECT_EQ(words("evaluation top-tag"),
            "/data --out /out/eval/top-tag --base /out/base --partition "
            "/out/controls/top-tag/partition --experts /out/controls/top-tag/experts");
  EXPECT_EQ(words("evaluation steps"),
            "/data --out /out/eval/steps --base /out/base --partition /out/partition --experts "
            "/out/controls/steps/experts");
  std::vector<std::string> keys;
  for (const RunRow& row : pipeline.rows) keys.push_back(row.key);
  EXPECT_EQ(keys,
            (std::vector<std::string>{"base", "longer", "base-and-longer", "wider", "ensemble",
                                      "random", "top-tag", "steps", "local", "shared"}));
}

TEST(Pipeline, ControlsWaitOnlyForWhatTheyRead) {
  auto graph = graph_of(plan(with_all_controls()));
  EXPECT_EQ(graph.at("wider"), "");
  EXPECT_EQ(graph.at("ensemble 0"), "");
  EXPECT_EQ(graph.at("random partition"), "embedding");
  EXPECT_EQ(graph.at("random expert 0"), "base, random partition");
  EXPECT_EQ(graph.at("steps expert 1"), "base, partition");
  EXPECT_EQ(graph.at("decoder"), "expert 0, expert 1");
  EXPECT_EQ(graph.at("evaluation base-and-longer"), "longer");
  EXPECT_EQ(graph.at("evaluation ensemble"), "ensemble 0, ensemble 1");
  EXPECT_EQ(graph.at("evaluation random"), "random expert 0, random expert 1");
}

TEST(Pipeline, ControlsExpertsAreSpreadOverGpus) {
  Config config = with_all_controls();
  config.device = "cuda";
  config.run.gpus = 5;
  const Pipeline pipeline = plan(config);
  EXPECT_EQ(pipeline.parallel, 5);
  EXPECT_EQ(pipeline.gpus, 5);
  const auto device_of = [&](const std::string& name) {
    const std::string words = words_of(pipeline, name);
    return words.substr(words.find("--device"), 15);
  };
  EXPECT_EQ(device_of("expert 1"), "--device cuda:1");
  EXPECT_EQ(device_of("random expert 0"), "--device cuda:2");
  EXPECT_EQ(device_of("top-tag expert 1"), "--device cuda:0");
  config.run.gpus = 50;
  EXPECT_EQ(plan(config).gpus, 8);  // experts
}

TEST(Pipeline, TheBaseIsInTheEnsembleWhereItIsTrainedAsLong) {
  Config config = with_all_controls();
  config.expert.epochs = config.base.epochs;
  const Pipeline pipeline = plan(config);
  EXPECT_EQ(words_of(pipeline, "ensemble 0"), "no stage ensemble 0");
  EXPECT_EQ(words_of(pipeline, "evaluation ensemble"),
            "/data --out /out/eval/ensemble --model /out/base --model /out/controls/ensemble/1");
  EXPECT_EQ(graph_of(pipeline).at("evaluation ensemble"), "base, ensemble 1");
}

TEST(Pipeline, AControlThatIsTheMixtureItselfIsLeftOut) {
  Config config = with_all_controls();
  config.partition.method = PartitionMethod::top_tag;
  const Pipeline pipeline = plan(config);
  EXPECT_EQ(words_of(pipeline, "top-tag partition"), "no stage top-tag partition");
  EXPECT_EQ(words_of(pipeline, "random partition"),
            "/out/embedding --out /out/controls/random/partition --method random");
  config.partition.method = PartitionMethod::kmeans;
  config.partition.fine = 64;  // which no other method has
  EXPECT_EQ(words_of(plan(config), "random partition"),
            "/out/embedding --out /out/controls/random/partition --method random --fine 0");
}

TEST(Pipeline, ControlsFollowTheExpertsSettings) {
  Config config = with_all_controls();
  config.expert.outside = 0.5;
  config.expert.outside_from = OutsideFrom::nearest;
  const Pipeline pipeline = plan(config);
  EXPECT_EQ(words_of(pipeline, "longer"),
            "/data --base /out/base --expert all --out /out/longer --epochs 8");
  EXPECT_EQ(words_of(pipeline, "ensemble 1"),
            "/data --out /out/controls/ensemble/1 --epochs 7 --seed 1000000001");
  EXPECT_EQ(words_of(pipeline, "random expert 0"),  // random parts have no distances
            "/data --base /out/base --partition /out/controls/random/partition --expert 0 --out "
            "/out/controls/random/experts/0 --embedding /out/embedding --set "
            "expert.outside_from=all");
  EXPECT_EQ(words_of(pipeline, "top-tag expert 0").find("outside_from"), std::string::npos);
  config = with_all_controls();
  config.expert.epochs_of = EpochsOf::dataset;  // what the control 'steps' is
  EXPECT_EQ(words_of(plan(config), "steps expert 0"), "no stage steps expert 0");
}

TEST(Pipeline, TheExpertAloneIsARowWhereTheBaseHasAShare) {
  Config config = with_all_controls();
  config.run.controls = {};
  EXPECT_EQ(plan(config).rows.size(), 3U);
  config.mixture.base_share = 0.3;
  const Pipeline pipeline = plan(config);
  ASSERT_EQ(pipeline.rows.size(), 4U);
  EXPECT_EQ(pipeline.rows[2].name, "mixture, expert alone");
  EXPECT_EQ(words_of(pipeline, "evaluation alone"),
            "/data --out /out/eval/alone --base /out/base --partition /out/partition --experts "
            "/out/experts --base-share 0");
  EXPECT_EQ(words_of(pipeline, "evaluation local"),
            "/data --out /out/eval/local --base /out/base --partition /out/partition --experts "
            "/out/experts");
}

TEST(Pipeline, TheWiderNetworkBeginsWithNothing) {
  const TemporaryFolder folder;
  Config config = with_all_controls();
  config.model.width = 8;
  config.base.init = folder / "base.safetensors";
  save_safetensors(config.base.init, initial_weights(resnet(config.model, 3), 1));
  EXPECT_EQ(words_of(plan(config), "wider"),
            "/data --out /out/controls/wider --width 11 --epochs 5.32547 --set base.init= --set "
            "'base.freeze=[]'");
  EXPECT_EQ(words_of(plan(config), "ensemble 0"),
            "/data --out /out/controls/ensemble/0 --epochs 5");
}

TEST(Pipeline, FurtherSeedsHaveStagesOfTheirOwn) {
  Config config = small();
  const auto once = lines_of(plan(config));
  config.seed = 7;
  config.run.seeds = 3;
  const Pipeline pipeline = plan(config);
  const auto lines = lines_of(pipeline);
  ASSERT_EQ(lines.size(), 3 * once.size() - 2);  // one dataset
  EXPECT_TRUE(std::equal(once.begin(), once.end(), lines.begin()));
  EXPECT_EQ(lines[once.size()],
            "/bin/moe-train-base /out/dataset --out /out/seed-8/base --config /out/config.yaml "
            "--set seed=8");
  for (size_t i = once.size(); i < lines.size(); ++i) {
    const char* seed = i < 2 * once.size() - 1 ? "8" : "9";
    EXPECT_NE(lines[i].find(fmt::format("--out /out/seed-{}/", seed)), std::string::npos);
    EXPECT_NE(lines[i].find(fmt::format("--set seed={}", seed)), std::string::npos);
    EXPECT_EQ(lines[i].find("/out/base "), std::string::npos) << lines[i];
  }
  auto graph = graph_of(pipeline);
  EXPECT_EQ(graph.at("seed 9 base"), "ingest");
  EXPECT_EQ(graph.at("seed 9 expert 1"), "seed 9 base, seed 9 partition");
  EXPECT_EQ(pipeline.rows.size(), 12U);
  EXPECT_EQ(pipeline.rows[4].evaluation, "seed 8 evaluation base");
  EXPECT_EQ(pipeline.rows[4].folder, "/out/seed-8/eval/base");
  EXPECT_EQ(pipeline.rows[4].seed, 8U);
  config.run.seeds = 0;
  expect_error([&] { plan(config); }, {"run.seeds", "found 0"}, ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
