// What a run tries on its trained mixture: re-routing, a router and fine-tuning, as rows.
#include <map>

#include "pipeline/commands.h"

namespace hardmoe {
namespace {

class Levers : public testing::Test {
 protected:
  void SetUp() override {
    write_pictures(folder.path(), 320);
    std::ofstream(folder / "c.yaml") << small_config << R"(
router: {epochs: 2, batch: 32, lr: 0.05, image_size: 16, augment: {crop: pad, padding: 2}}
finetune: {batch: 16, turn_steps: 4, augment: {crop: pad, padding: 2}}
ingest: {sources: [images.jsonl], val_fraction: 0.2, selection_fraction: 0.25}
run: {controls: none}
)";
  }
  std::string sh(const std::string& typed) const { return output_of(folder.path(), typed); }

  /// When each stage of a run was last begun or ended.
  std::map<std::string, fs::file_time_type> stages_of(const fs::path& run) const {
    std::map<std::string, fs::file_time_type> times;
    for (const auto& entry : fs::recursive_directory_iterator(folder / run)) {
      if (entry.path().filename() != "stage.json") continue;
      times[fs::relative(entry.path(), folder / run).string()] = entry.last_write_time();
    }
    return times;
  }
  /// A run's rows against the tags, by their keys.
  std::map<std::string, Json> rows_of(const fs::path& run) const {
    std::map<std::string, Json> rows;
    const Json summary = read_json(folder / run / "summary.json");
    for (const Json& row : summary.at("table")) {
      if (row.at("labels") == "tags") rows[row.at("key")] = row;
    }
    return rows;
  }

  const std::string line =
      "moe-run c.yaml --out run --set base.epochs=2 --set expert.epochs=1 --set decoder.epochs=1 ";
  TemporaryFolder folder;
};

TEST_F(Levers, AreRowsBesideTheMixture) {
  sh(line);
  const auto before = stages_of("run");
  const std::string levers = "--set run.levers=all ";
  const std::string table = sh(line + levers);
  auto after = stages_of("run");
  for (const auto& [name, time] : before) EXPECT_EQ(after.at(name), time) << name;
  auto rows = rows_of("run");
  ASSERT_EQ(rows.size(), 6U) << table;
  EXPECT_EQ(table.find("nan"), std::string::npos) << table;
  EXPECT_NE(table.find("levers, against truth"), std::string::npos) << table;
  EXPECT_NE(table.find("ahead of mixture: P@1 less"), std::string::npos) << table;
  const auto number = [&](const char* key, const char* of) {
    return rows.at(key).at(of).get<double>();
  };
  for (const char* key : {"reroute", "router", "finetune"}) {
    EXPECT_LE(number(key, "gain_low"), number(key, "gain")) << table;
    EXPECT_NEAR(number(key, "gain"),
                number(key, "P@1") - rows.at(rows.at(key).at("over")).at("P@1").get<double>(), 1e-6)
        << table;
  }
  // A second round of experts costs what the first did, and a little for asking those.
  EXPECT_GT(number("reroute", "training_flops"), number("local", "training_flops"));
  EXPECT_EQ(number("reroute", "flops_per_image"), number("local", "flops_per_image"));
  EXPECT_GT(number("router", "training_flops"), number("local", "training_flops"));
  EXPECT_GT(number("finetune", "training_flops"), number("shared", "training_flops"));
  EXPECT_EQ(sh(line + levers), table);
  EXPECT_EQ(stages_of("run"), after) << "a finished stage was done again";
  EXPECT_EQ(sh(line + levers + "--status").find("waiting"), std::string::npos);

  // Another round, and another seed, go on with what is there.
  const std::string more = levers + "--set partition.reroute.rounds=2 --set run.seeds=2 ";
  const std::string larger = sh(line + more);
  for (const auto& [name, time] : after) EXPECT_EQ(stages_of("run").at(name), time) << name;
  rows = rows_of("run");
  EXPECT_EQ(rows.size(), 7U) << larger;
  EXPECT_EQ(rows.at("finetune").at("seeds"), 2) << larger;
  EXPECT_NE(larger.find("re-routed 2×, local decoders"), std::string::npos) << larger;
  EXPECT_TRUE(fs::exists(folder / "run/seed-2/levers/reroute-2/experts/1/model.safetensors"));
}

// Experts that are all alike on held-out images: there is no better rule than the old one.
TEST_F(Levers, ReroutingThatKeepsTheOldPartitionIsARowToo) {
  const std::string alike = line +
                            "--set run.levers=all --set router.epochs=1 --set base.epochs=1 "
                            "--set expert.lr=1e-9 --set expert.weight_decay=0 ";
  const Outcome outcome = run(folder.path(), alike + "--set partition.reroute.penalty=1e9");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json told = read_json(folder / "run/levers/reroute/partition/partition.json");
  EXPECT_EQ(told.at("reroute").at("kept"), true) << told;
  EXPECT_NE(outcome.err.find("which is kept"), std::string::npos) << outcome.err;
  EXPECT_EQ(read_file(folder / "run/levers/reroute/partition/assignment.npy"),
            read_file(folder / "run/partition/assignment.npy"));
  for (const auto& [key, row] : rows_of("run")) {
    const bool lever = key == "reroute" || key == "router" || key == "finetune";
    EXPECT_EQ(row.contains("gain") && row.at("gain").is_number(), lever) << row;
  }
}

TEST_F(Levers, PrintedCommandsDoTheSameAndMistakesAreNamedFirst) {
  const auto refused = [&](const std::string& options, const std::string& words) {
    const Outcome outcome = run(folder.path(), line + "--set run.levers=all " + options);
    EXPECT_EQ(outcome.status, 2) << options << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << words << ": " << outcome.err;
  };
  refused("--set ingest.selection_fraction=0",
          "reroute of run.levers: needs the split 'selection'");
  refused("--set partition.method=random", "router has nothing to learn of a partition at random");
  refused("--set mixture.embedding=blend --set mixture.base_share=0.5",
          "finetune trains a decoder of the experts' features alone");
  refused("--set run.levers=tune", "expected all, none or a list of reroute, router, finetune");
  EXPECT_FALSE(fs::exists(folder / "run"));
  const std::string commands = sh(line + "--set run.levers=all --dry-run");
  for (const char* words :
       {"/moe-partition run/dataset run/embedding --out run/levers/reroute/partition --reroute "
        "run/partition --base run/base --experts run/experts ",
        "/moe-train-router run/dataset ", "/moe-finetune run/dataset ",
        " --init-experts run/experts "}) {
    EXPECT_NE(commands.find(words), std::string::npos) << words << commands;
  }
}

}  // namespace
}  // namespace hardmoe
