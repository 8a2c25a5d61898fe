// What a run tries on its trained mixture: the stages of each lever, and what is refused
// beforehand.
#include <gtest/gtest.h>

#include "base/json.h"
#include "expect_error.h"
#include "run/planned.h"
#include "run/run_checks.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

Config with(const std::vector<std::string>& levers) {
  Config config = small();
  config.run.controls = {};
  config.run.levers = parse_levers(levers);
  config.ingest.sources.clear();
  config.run.dataset = "/data";
  return config;
}

const std::string base = "--base /out/base ";
const std::string parts = "--partition /out/partition ";
const std::string experts = "--experts /out/experts";

TEST(Levers, ReroutingIsAPartitionByTheExpertsAndExpertsOfIt) {
  const Pipeline pipeline = plan(with({"reroute"}));
  EXPECT_EQ(words_of(pipeline, "reroute partition"),
            "/data /out/embedding --out /out/levers/reroute/partition --reroute /out/partition " +
                base + experts);
  EXPECT_EQ(words_of(pipeline, "reroute expert 1"),
            "/data " + base +
                "--partition /out/levers/reroute/partition --expert 1 --out "
                "/out/levers/reroute/experts/1 --init-experts /out/experts");
  EXPECT_EQ(words_of(pipeline, "evaluation reroute"),
            "/data --out /out/eval/reroute " + base +
                "--partition /out/levers/reroute/partition --experts "
                "/out/levers/reroute/experts");
  auto graph = graph_of(pipeline);
  EXPECT_EQ(graph.at("reroute partition"), "expert 0, expert 1");
  EXPECT_EQ(graph.at("reroute expert 0"), "base, reroute partition");
  EXPECT_EQ(graph.at("evaluation reroute"), "reroute expert 0, reroute expert 1");
  EXPECT_EQ(words_of(pipeline, "router"), "no stage router");
}

TEST(Levers, RoundsOfReroutingGoOnFromOneAnother) {
  Config config = with({"reroute"});
  const auto once = lines_of(plan(config));
  config.partition.reroute.rounds = 3;
  const Pipeline pipeline = plan(config);
  auto lines = lines_of(pipeline);
  for (const auto& line : once) {  // nothing of one round changes
    EXPECT_NE(std::ranges::find(lines, line), lines.end()) << line;
  }
  EXPECT_EQ(words_of(pipeline, "reroute-3 partition"),
            "/data /out/embedding --out /out/levers/reroute-3/partition --reroute "
            "/out/levers/reroute-2/partition --base /out/base --experts "
            "/out/levers/reroute-2/experts");
  EXPECT_EQ(graph_of(pipeline).at("reroute-3 partition"), "reroute-2 expert 0, reroute-2 expert 1");
  EXPECT_NE(words_of(pipeline, "reroute-3 expert 0").find("--init-experts /out/levers/reroute-2/"),
            std::string::npos);
  // The last row takes every round's experts.
  const auto before = stages_before(pipeline.stages, "evaluation reroute-3");
  EXPECT_EQ(before.size(), 3U + 4U * 2U + 3U);  // base, embedding, partition; experts; partitions
  ASSERT_EQ(pipeline.rows.size(), 6U);
  EXPECT_EQ(pipeline.rows[3].name, "re-routed, local decoders");
  EXPECT_EQ(pipeline.rows[5].name, "re-routed 3×, local decoders");
  EXPECT_EQ(pipeline.rows[5].over, "local");
}

TEST(Levers, ExpertsOfReroutedPartsBeginAsTheyMay) {
  Config config = with({"reroute"});
  const auto begins_with_experts = [&] {
    return words_of(plan(config), "reroute expert 0").find("--init-experts") != std::string::npos;
  };
  EXPECT_TRUE(begins_with_experts());
  config.expert.start = ExpertStart::scratch;
  EXPECT_FALSE(begins_with_experts());
  config.expert.start = ExpertStart::base;
  config.expert.pull = 0.1;  // toward the base, with whose weights an expert then begins
  EXPECT_FALSE(begins_with_experts());
}

TEST(Levers, ARouterIsTrainedForThePartitionAndAsksNoBase) {
  Config config = with({"router"});
  Pipeline pipeline = plan(config);
  EXPECT_EQ(words_of(pipeline, "router"), "/data " + base + parts + "--out /out/levers/router");
  const std::string evaluation = "/data --out /out/eval/router " + base + parts + experts;
  EXPECT_EQ(words_of(pipeline, "evaluation router"), evaluation + " --router /out/levers/router");
  auto graph = graph_of(pipeline);
  EXPECT_EQ(graph.at("router"), "base, partition");
  EXPECT_EQ(graph.at("evaluation router"), "expert 0, expert 1, router");
  config.mixture.base_share = 0.3;
  EXPECT_EQ(words_of(plan(config), "evaluation router"),
            evaluation + " --router /out/levers/router --base-share 0");
  config.mixture.base_share = 0;
  config.run.embedding = {"own.npy"};
  config.run.features = {"val.npy"};  // not asked for either
  EXPECT_EQ(words_of(plan(config), "evaluation router"),
            evaluation + " --router /out/levers/router");
}

TEST(Levers, FineTuningGoesOnFromTheSharedDecoder) {
  const Pipeline pipeline = plan(with({"finetune"}));
  EXPECT_EQ(words_of(pipeline, "finetune"),
            "/data --out /out/levers/finetune --decoder /out/decoder " + base + parts + experts);
  EXPECT_EQ(words_of(pipeline, "evaluation finetune"),
            "/data --out /out/eval/finetune " + base + parts +
                "--experts /out/levers/finetune/experts --decoder /out/levers/finetune/decoder");
  auto graph = graph_of(pipeline);
  EXPECT_EQ(graph.at("finetune"), "decoder");
  EXPECT_EQ(graph.at("evaluation finetune"), "finetune");
  EXPECT_EQ(pipeline.rows.back().over, "shared");
}

TEST(Levers, AddToARunWithoutChangingIt) {
  const auto lines = lines_of(plan(with({"none"})));
  Config config = with({"all"});
  config.run.parallel = 2;
  const Pipeline pipeline = plan(config);
  EXPECT_EQ(pipeline.parallel, 2);  // of one round's experts
  config.run.parallel = 50;
  EXPECT_EQ(plan(config).parallel, 2);
  config.run.parallel = 1;
  const auto all = lines_of(plan(config));
  ASSERT_GT(all.size(), lines.size());
  EXPECT_TRUE(std::equal(lines.begin(), lines.end(), all.begin()));
  std::vector<std::string> keys;
  for (const RunRow& row : pipeline.rows) keys.push_back(row.key);
  EXPECT_EQ(keys,
            (std::vector<std::string>{"base", "local", "shared", "reroute", "router", "finetune"}));
}

TEST(Levers, FurtherSeedsHaveTheirOwn) {
  Config config = with({"all"});
  config.run.seeds = 2;
  const Pipeline pipeline = plan(config);
  auto graph = graph_of(pipeline);
  EXPECT_EQ(graph.at("seed 2 finetune"), "seed 2 decoder");
  EXPECT_EQ(graph.at("seed 2 reroute expert 0"), "seed 2 base, seed 2 reroute partition");
  EXPECT_NE(words_of(pipeline, "seed 2 router").find("--out /out/seed-2/levers/router"),
            std::string::npos);
  EXPECT_EQ(pipeline.rows.size(), 12U);
}

TEST(Levers, WhatIsImpossibleIsSaidBeforehand) {
  const auto refused = [](const Config& config, const std::vector<std::string>& words) {
    expect_error([&] { plan(config); }, words, ExitStatus::usage);
  };
  expect_error(
      [] {
        parse_levers({"reroute", "rooter"});
      },
      {"run.levers", "reroute, router, finetune", "'rooter'"}, ExitStatus::usage);
  Config config = with({"reroute"});
  config.run.dataset.clear();
  config.ingest.sources = {"a.tar"};
  refused(config, {"reroute of run.levers", "ingest.selection_fraction"});
  config.ingest.selection_fraction = 0.05;
  EXPECT_NO_THROW(plan(config));
  config.run.embedding = config.run.features = {"own.npy"};
  refused(config, {"reroute of run.levers", "run.embedding"});
  config = with({"reroute"});
  config.partition.reroute.rounds = 0;
  refused(config, {"partition.reroute.rounds", "found 0"});
  config = with({"reroute"});
  config.partition.reroute.images = 12;
  refused(config, {"partition.reroute.images", "at least 20", "found 12"});
  config.partition.experts = 1;
  refused(config, {"reroute needs at least 2 experts", "leave reroute out"});

  config = with({"router"});
  config.partition.method = PartitionMethod::random;
  refused(config, {"router has nothing to learn", "at random"});
  config.partition.method = PartitionMethod::kmeans;
  config.partition.experts = 1;
  refused(config, {"router has nothing to learn", "one expert"});
  config = with({"router"});
  config.eval.use_prices = false;
  refused(config, {"router", "eval.use_prices"});
  config = with({"router"});
  config.router.sampling = Sampling::uniform;
  refused(config, {"router.sampling"});
  config = with({"router"});
  config.router.freeze = {"layer9.*"};
  refused(config, {"router.freeze", "layer9.*"});

  config = with({"finetune"});
  config.mixture.embedding = EmbeddingKind::blend;
  config.mixture.base_share = 0.5;
  refused(config, {"finetune", "mixture.embedding is blend"});
  config = with({"finetune"});
  config.finetune.loss = LossKind::sigmoid;
  refused(config, {"finetune.loss: expected softmax, which decoder.loss is, found sigmoid"});
  config = with({"finetune"});
  config.finetune.ema = 0.99;
  refused(config, {"finetune.ema"});
  config.run.levers = {};  // not asked for: not looked at
  EXPECT_NO_THROW(plan(config));
}

TEST(Levers, ADatasetWithTooFewImagesIsRefused) {
  const TemporaryFolder folder;
  Config config = with({"all"});
  config.run.dataset = folder.path().string();
  config.finetune.batch = 32;
  const auto images = [&](int train, int selection) {
    write_json(folder / "dataset.json", {{"splits",
                                          {{"train", {{"images", train}}},
                                           {"val", {{"images", 9}}},
                                           {"selection", {{"images", selection}}}}}});
  };
  const auto refused = [&](const std::vector<std::string>& words) {
    expect_error([&] { check_splits(config, folder.path()); }, words, ExitStatus::usage);
  };
  images(64, 20);
  EXPECT_NO_THROW(check_splits(config, folder.path()));
  images(64, 19);
  refused({"has 19 images in split 'selection'", "2 experts on at least 20"});
  images(63, 20);
  refused({"finetune.batch", "some 31 images", "a batch of 32"});
  write_json(folder / "dataset.json",
             {{"splits", {{"train", {{"images", 64}}}, {"val", {{"images", 9}}}}}});
  refused({"needs the split 'selection'", "reroute of run.levers", "--selection-fraction"});
}

}  // namespace
}  // namespace hardmoe
