// What is told of a finished run, from the records of its stages.
#include "run/summary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "base/text.h"
#include "expect_error.h"
#include "moe/image_results.h"
#include "run/summary_table.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

/// A run of two experts whose stages are written by the tests.
class Summary : public testing::Test {
 protected:
  void plan(int seeds = 1) {
    config.run.dataset = "/data";
    config.partition.experts = 2;
    config.run.seeds = seeds;
    pipeline = plan_pipeline(config, folder.path(), "/bin", "c.yaml", false);
  }

  /// A finished stage that took 10 s, or results' seconds over several runs.
  static void write_stage(const fs::path& stage, const std::string& command, const Json& results,
                          const Json& outputs = Json::object()) {
    make_writable_folder(stage);
    write_json(stage / "stage.json", {{"command", command},
                                      {"inputs", {{"dataset", "of all"}, {"split", "val"}}},
                                      {"done", true},
                                      {"outputs", outputs},
                                      {"results", results},
                                      {"seconds", 10.0}});
  }

  /// Everything before the evaluations, with FLOPs of 1, 10, … so that a sum tells its parts.
  void write_training(const fs::path& out) const {
    write_stage(out / "base", "moe-train-base",
                {{"seconds", 100.0}, {"training_flops", 1.0}});  // resumed: 10 s of them last
    write_stage(out / "embedding", "moe-embed", {{"seconds", 9.0}, {"training_flops", 10.0}});
    write_stage(out / "partition", "moe-partition", Json::object());
    for (const char* expert : {"0", "1"}) {
      write_stage(out / "experts" / expert, "moe-train-expert",
                  {{"seconds", 9.5}, {"training_flops", 100.0}});
    }
    write_stage(out / "longer", "moe-train-expert", {{"seconds", 8.0}, {"training_flops", 1000.0}});
    write_stage(out / "decoder", "moe-train-decoder",
                {{"seconds", 8.0}, {"training_flops", 10000.0}});
  }

  static Json metrics(const Json& precision) {
    return {{"P@1", precision}, {"P@5", 0.25}, {"R@10", 0.125}};
  }

  static Json results(const Json& tags) {
    return {{"parameters", 1500000}, {"flops_per_image", 2.5e9}, {"tags", tags}};
  }

  /// An evaluation whose P@1 of single images is given.
  static void write_images(const fs::path& stage, const std::vector<float>& values) {
    make_writable_folder(stage);
    ImageResults images;
    images.columns = {"tags P@1"};
    images.values = Tensor::from(values, {std::ssize(values), 1});
    save_image_results(stage, images);
    double sum = 0;
    for (const float value : values) sum += value;
    Json found = results(metrics(sum / static_cast<double>(values.size())));
    found["images"] = image_results_json(images);
    write_stage(stage, "moe-eval", found, {{"images.npy", sha256_of_file(stage / "images.npy")}});
  }

  TemporaryFolder folder;
  Config config;
  Pipeline pipeline;
};

TEST_F(Summary, CountsEveryonesTraining) {
  plan();
  write_training(folder.path());
  double precision = 0.5;
  for (const char* name : {"base", "longer", "local", "shared"}) {
    Json found = metrics(precision += 0.1);
    if (std::string(name) == "shared") found["R@10"] = nullptr;  // of no images
    if (std::string(name) == "local") {
      found["experts"] = {{{"images", 70}, {"without_tags", 5}}, {{"images", 25}}};
    }
    write_stage(folder / "eval" / name, "moe-eval", results(found));
  }
  const Json summary = pipeline_summary(pipeline);
  const Json& evaluations = summary["evaluations"];
  ASSERT_EQ(evaluations.size(), 4U);
  EXPECT_EQ(evaluations[0]["training_seconds"], 100.0);
  EXPECT_EQ(evaluations[1]["training_seconds"], 110.0);
  EXPECT_EQ(evaluations[2]["training_seconds"], 140.0);  // base, embedding, partition, two experts
  EXPECT_EQ(evaluations[3]["training_seconds"], 150.0);
  EXPECT_EQ(evaluations[0]["training_flops"], 1.0);
  EXPECT_EQ(evaluations[1]["training_flops"], 1001.0);
  EXPECT_EQ(evaluations[2]["training_flops"], 211.0);
  EXPECT_EQ(evaluations[3]["training_flops"], 10211.0);
  EXPECT_EQ(evaluations[3]["name"], "mixture, shared decoder");
  EXPECT_EQ(evaluations[3]["key"], "shared");
  EXPECT_EQ(evaluations[3]["seed"], 1);
  EXPECT_EQ(summary_table(summary),
            "against tags               P@1    P@5   R@10\n"
            "base                     0.600  0.250  0.125\n"
            "base, trained as long    0.700  0.250  0.125\n"
            "mixture, local decoders  0.800  0.250  0.125\n"
            "mixture, shared decoder  0.900  0.250      –\n"
            "\n"
            "cost                     parameters  FLOPs an image  training FLOPs  seconds  images "
            "an expert\n"
            "base                           1.5M            2.5G               1      100\n"
            "base, trained as long          1.5M            2.5G              1k      110\n"
            "mixture, local decoders        1.5M            2.5G             211      140          "
            "  25–75%\n"
            "mixture, shared decoder        1.5M            2.5G           10.2k      150\n");
}

TEST_F(Summary, TrainingThatDidNotRecordItsCostHasNone) {
  config.run.controls = {};
  plan();
  write_training(folder.path());
  write_stage(folder / "experts/1", "moe-train-expert", {{"seconds", 8.0}});
  for (const char* name : {"base", "local", "shared"}) {
    write_stage(folder / "eval" / name, "moe-eval", results(metrics(0.5)));
  }
  const Json summary = pipeline_summary(pipeline);
  EXPECT_EQ(summary["evaluations"][0]["training_flops"], 1.0);
  EXPECT_TRUE(summary["evaluations"][1]["training_flops"].is_null());
  EXPECT_TRUE(summary["table"][1]["training_flops"].is_null());
  EXPECT_NE(summary_table(summary).find("2.5G               –"), std::string::npos);
}

TEST_F(Summary, ForeignValuesInAStagesRecordAreNamed) {
  plan();
  write_training(folder.path());
  for (const RunRow& row : pipeline.rows) {
    write_stage(row.folder, "moe-eval", results(metrics(0.5)));
  }
  ASSERT_NO_THROW(pipeline_summary(pipeline));
  const auto refused = [&](const fs::path& stage, const std::string& command, const Json& found,
                           const std::string& words) {
    const fs::path file = stage / "stage.json";
    const std::string whole = read_file(file);
    write_stage(stage, command, found);
    expect_error([&] { pipeline_summary(pipeline); }, {file.string() + ": field ", words});
    write_file_atomic(file, whole);
  };
  const fs::path base = folder / "base", evaluation = pipeline.rows.front().folder;
  refused(base, "moe-train-base", {{"seconds", "a"}}, "'seconds' holds string, expected number");
  refused(base, "moe-train-base", {{"training_flops", Json::array()}}, "'training_flops' holds");
  refused(evaluation, "moe-eval", Json::object(), "'tags' is missing");
  refused(evaluation, "moe-eval", results(7), "'tags' holds number, expected object");
  refused(evaluation, "moe-eval", results({{"experts", 7}}), "'experts' holds number");
  refused(evaluation, "moe-eval", results({{"experts", {1, 2}}}), "'images' is missing");
  Json renamed = results(metrics(0.5));
  renamed["name"] = renamed["key"] = 7;
  write_stage(evaluation, "moe-eval", renamed);
  EXPECT_EQ(pipeline_summary(pipeline)["table"][0]["name"], pipeline.rows.front().name);
}

TEST_F(Summary, SeedsGiveMeansErrorsAndThePairedLead) {
  config.run.controls = {};
  plan(2);
  for (const char* root : {"", "seed-2"}) {
    const fs::path out = folder / root;
    write_training(out);
    const bool second = *root != 0;
    // Ahead by half of the images in the first seed, by a quarter in the second.
    write_images(out / "eval/base", {0, 0, 1, 0});
    write_images(out / "eval/local", {1, 1, second ? 0.0F : 1.0F, 0});
    write_stage(out / "eval/shared", "moe-eval", results(metrics(second ? 0.5 : 0.6)));
  }
  const Json summary = pipeline_summary(pipeline);
  ASSERT_EQ(summary["evaluations"].size(), 6U);
  EXPECT_EQ(summary["evaluations"][4]["seed"], 2);
  const Json& table = summary["table"];
  ASSERT_EQ(table.size(), 3U);
  EXPECT_EQ(table[0]["seeds"], 2);
  EXPECT_EQ(table[0]["P@1"], 0.25);
  EXPECT_EQ(table[0]["P@1_error"], 0.0);
  EXPECT_NEAR(table[2]["P@1"], 0.55, 1e-12);
  EXPECT_NEAR(table[2]["P@1_error"], 0.05, 1e-12);  // √(2·0.05² / 1 / 2)
  EXPECT_NEAR(table[0]["lead"], 0.375, 1e-6);
  EXPECT_LT(table[0]["lead_low"], 0.375);
  EXPECT_GT(table[0]["lead_high"], 0.375);
  EXPECT_TRUE(table[1]["lead"].is_null());  // the mixture itself
  EXPECT_TRUE(table[2]["lead"].is_null());  // no values of single images
  EXPECT_EQ(table[0]["training_seconds"], 100.0);
  const std::string text = summary_table(summary);
  for (const char* part : {"0.550 ± 0.050", "mixture ahead, P@1", "+0.375 [", "over 2 seeds"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

TEST_F(Summary, ALeverIsComparedWithTheRowThatItChanges) {
  config.run.controls = {};
  config.run.levers = parse_levers({"all"});
  plan();
  write_training(folder.path());
  const fs::path levers = folder / "levers";
  write_stage(levers / "reroute/partition", "moe-partition", {{"training_flops", 2.0}});
  for (const char* expert : {"0", "1"}) {
    write_stage(levers / "reroute/experts" / expert, "moe-train-expert",
                {{"seconds", 9.0}, {"training_flops", 300.0}});
  }
  write_stage(levers / "router", "moe-train-router", {{"training_flops", 5.0}});
  write_stage(levers / "finetune", "moe-finetune", {{"training_flops", 7.0}});
  write_images(folder / "eval/base", {0, 0, 0, 0});
  write_images(folder / "eval/local", {1, 1, 0, 0});
  write_images(folder / "eval/shared", {1, 1, 1, 0});
  write_images(folder / "eval/reroute", {1, 1, 1, 0});
  write_images(folder / "eval/router", {1, 0, 0, 0});
  write_images(folder / "eval/finetune", {1, 1, 1, 1});
  const Json summary = pipeline_summary(pipeline);
  const Json& table = summary["table"];
  ASSERT_EQ(table.size(), 6U);
  EXPECT_FALSE(table[1].contains("gain"));  // no lever
  EXPECT_FALSE(table[1].contains("over"));
  const auto expect_row = [&](size_t row, const char* over, double gain, double lead,
                              double flops) {
    EXPECT_EQ(table[row]["over"], over);
    EXPECT_NEAR(table[row]["gain"], gain, 1e-6);
    EXPECT_NEAR(table[row]["lead"], lead, 1e-6);
    EXPECT_LE(table[row]["gain_low"], table[row]["gain"]);
    EXPECT_GE(table[row]["gain_high"], table[row]["gain"]);
    EXPECT_EQ(table[row]["training_flops"], flops) << table[row]["name"];
  };
  expect_row(3, "local", 0.25, -0.25, 813);    // both rounds' experts, and asking the first ones
  expect_row(4, "local", -0.25, 0.25, 216);    // the mixture's and the router's
  expect_row(5, "shared", 0.25, -0.5, 10218);  // the mixture's, its decoder's and its own
  EXPECT_NEAR(table[3]["ahead_of_base"], 0.75, 1e-6);
  EXPECT_NEAR(table[4]["ahead_of_base"], 0.25, 1e-6);
  EXPECT_LE(table[4]["ahead_of_base_low"], 0.25);
  EXPECT_GE(table[4]["ahead_of_base_high"], 0.25);
  EXPECT_FALSE(table[4].contains("ahead_of_local"));  // the mixture, to which it gains
  EXPECT_FALSE(table[4].contains("ahead_of_reroute"));
  EXPECT_FALSE(table[1].contains("ahead_of_base"));  // no lever: the base's row has it, as "lead"
  const std::string text = summary_table(summary);
  for (const char* line :
       {"levers, against tags             P@1    P@5   R@10    ahead of mixture, P@1\n",
        "\nre-routed, local decoders      0.750  0.250  0.125  +0.250 [",
        "\nwith a router, local decoders  0.250  0.250  0.125  -0.250 [",
        "\nfine-tuned, shared decoder     1.000  0.250  0.125  +0.250 [",
        "\nahead of mixture: P@1 less the mixture's with the same decoders"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
  write_stage(levers / "finetune", "moe-finetune", {{"seconds", 8.0}});  // its cost is not known
  EXPECT_TRUE(pipeline_summary(pipeline)["table"][5]["training_flops"].is_null());
}

TEST_F(Summary, AllRowsAndSeedsFitAHundredColumns) {
  config.run.controls = parse_controls({"all"});
  config.run.levers = parse_levers({"all"});
  config.partition.reroute.rounds = 10;
  plan(2);
  Json table = Json::array();
  for (const RunRow& row : pipeline.rows) {
    if (row.seed != 1) continue;
    table.push_back({{"key", row.key},
                     {"name", row.name},
                     {"labels", "tags"},
                     {"seeds", 2},
                     {"parameters", 123456789},
                     {"flops_per_image", 1.23e9},
                     {"training_flops", 1.23e15},
                     {"training_seconds", 123456},
                     {"least_share", 0.105},
                     {"greatest_share", 0.333},
                     {"lead", -0.012},
                     {"lead_low", -0.123},
                     {"lead_high", 0.001}});
    if (!row.over.empty()) {
      table.back().update(
          {{"over", row.over}, {"gain", 0.012}, {"gain_low", -0.123}, {"gain_high", 0.045}});
    }
    for (const char* metric : {"P@1", "P@5", "R@10"}) {
      table.back()[metric] = 0.123;
      table.back()[std::string(metric) + "_error"] = 0.004;
    }
  }
  const Json summary = {{"evaluations", Json::array()}, {"table", table}};
  for (const auto& line : split(summary_table(summary), '\n')) {
    const auto columns = std::ranges::count_if(line, [](char c) { return (c & 0xC0) != 0x80; });
    EXPECT_LE(columns, 100) << line;
  }
}

}  // namespace
}  // namespace hardmoe
