// What every command says of itself and of its configuration: examples, keys, --print-config; and the
// form of its messages.
#include <map>

#include "pipeline/commands.h"
#include "tasks/config.h"
#include "test_files.h"

namespace hardmoe {
namespace {

/// The built commands by name, each with its --help.
std::map<std::string, std::string> helps() {
  const TemporaryFolder folder;
  std::map<std::string, std::string> help;
  for (const auto& name : command_names()) help[name] = output_of(folder.path(), name + " --help");
  return help;
}

/// The command lines with which a help ends.
std::vector<std::string> examples_of(const std::string& help) {
  const size_t at = std::min(help.rfind("\nExample:\n"), help.rfind("\nExamples:\n"));
  std::vector<std::string> examples;
  if (at == std::string::npos) return examples;
  for (const auto& line : split(trim(help.substr(help.find(":\n", at) + 1)), '\n')) {
    examples.emplace_back(trim(line));
  }
  return examples;
}

// Each is parsed by the command itself: with --print-config it stops after its configuration, and does
// not ask for what it requires; with an unknown key it refuses that, having found all it requires.
TEST(Help, ExamplesAreTrueCommandLines) {
  if (!fs::exists(test_files() / "../../configs")) GTEST_SKIP() << "no configs/ beside the tests";
  const TemporaryFolder folder;
  fs::create_directory_symlink(fs::canonical(test_files() / "../../configs"),
                               folder.path() / "configs");
  for (const auto& [name, help] : helps()) {
    const auto examples = examples_of(help);
    EXPECT_GE(examples.size(), 1U) << name;
    EXPECT_LE(examples.size(), 3U) << name;
    for (const auto& example : examples) {
      const size_t begin = example.find(name);
      ASSERT_NE(begin, std::string::npos) << example;
      const std::string line = example.substr(begin);
      const Outcome configured = run(folder.path(), line + " --print-config");
      EXPECT_EQ(configured.status, 0) << line << "\n" << configured.err;
      if (line.find(" --print-config") != std::string::npos) continue;
      const Outcome refused = run(folder.path(), line + " --set no_such_key=1");
      EXPECT_EQ(refused.status, 2) << line;
      EXPECT_NE(refused.err.find("unknown key 'no_such_key'"), std::string::npos) << refused.err;
    }
  }
}

TEST(Help, EveryKeyIsInSomeCommands) {
  std::string all;
  for (const auto& [name, help] : helps()) all += help;
  Config config;
  int keys = 0;
  for (const ConfigKey& key : config_keys(fields_of(config))) {
    if (key.value.is_null()) continue;  // a section
    // As an option's key "(base.lr)", "(ingest.storage=copy)", or as a key without one.
    const bool told = all.find("(" + key.path + ")") != std::string::npos ||
                      all.find("(" + key.path + "=") != std::string::npos ||
                      all.find("\n  " + key.path + "=") != std::string::npos;
    EXPECT_TRUE(told || key.path == "ingest.sources") << key.path;  // that is moe-ingest's SOURCE
    ++keys;
  }
  EXPECT_GE(keys, 190);
}

TEST(PrintConfig, ReadsBackToTheSame) {
  const TemporaryFolder folder;
  const std::string changed =
      "moe-train-base --lr 0.3 --deterministic --set base.optimizer=adamw --set seed=7 "
      "--set 'base.freeze=[conv1.*, *.bias]' --set base.step_epochs=[2,3.5] "
      "--set 'ingest.tag_separator=\"#: ;' --set 'base.init=Bilder/Größe \\n' "
      "--set run.controls=none";
  std::ofstream(folder.path() / "changed.yaml")
      << output_of(folder.path(), changed + " --print-config");
  const std::string text = read_file(folder.path() / "changed.yaml");
  EXPECT_NE(text.find("\n  lr: 0.3  # peak learning rate\n"), std::string::npos) << text;
  for (const char* same : {"moe-train-base --print-config --config changed.yaml",
                           "moe-run changed.yaml --print-config --out unused"}) {
    EXPECT_EQ(output_of(folder.path(), same), text) << same;
  }
  Config expected;
  for (const char* assignment :
       {"base.lr=0.3", "base.deterministic=true", "base.optimizer=adamw", "seed=7",
        "base.freeze=[conv1.*, *.bias]", "base.step_epochs=[2,3.5]", "ingest.tag_separator=\"#: ;",
        "base.init=Bilder/Größe \\n", "run.controls=none"}) {
    apply_override(assignment, fields_of(expected));
  }
  Config read;
  load_yaml(folder.path() / "changed.yaml", fields_of(read));
  EXPECT_EQ(config_json(fields_of(read)), config_json(fields_of(expected)));
}

TEST(PrintConfig, HasACommentAKey) {
  const TemporaryFolder folder;
  const std::string text = output_of(folder.path(), "moe-run --print-config");
  Config config;
  size_t at = 0;
  for (const ConfigKey& key : config_keys(fields_of(config))) {
    const std::string name = key.path.substr(key.path.rfind('.') + 1) + ":";
    at = text.find(name, at);
    ASSERT_NE(at, std::string::npos) << key.path;
    const std::string line = text.substr(at, text.find('\n', at) - at);
    EXPECT_TRUE(line.ends_with("  # " + key.help)) << line;
    at += line.size();
  }
}

TEST(PrintConfig, RefusesWhatTheCommandWould) {
  const TemporaryFolder folder;
  const Outcome unknown = run(folder.path(), "moe-eval --print-config --set eval.spilt=val");
  EXPECT_EQ(unknown.status, 2);
  EXPECT_NE(unknown.err.find("did you mean 'eval.split'?"), std::string::npos) << unknown.err;
  const Outcome option = run(folder.path(), "moe-eval --print-config --spilt val");
  EXPECT_EQ(option.status, 2);
  EXPECT_NE(option.err.find("did you mean --split?"), std::string::npos) << option.err;
  EXPECT_EQ(option.out, "");
}

/// The objects on standard error, where there is nothing else.
std::vector<Json> objects_of(const Outcome& outcome) {
  std::vector<Json> objects;
  for (const auto& line : split(trim(outcome.err), '\n')) {
    objects.push_back(parse_json(line, "standard error"));
  }
  return objects;
}

TEST(LogFormat, FailuresAreObjectsToo) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "run.yaml") << "ingest: {sources: [nowhere], val_fraction: 0.1}\n";
  for (const std::string line :
       {"moe-eval --spilt val --log-format json",  // the form is known whatever comes first
        "moe-eval --log-format=json", "moe-eval nowhere --model nothing --log-format json",
        "moe-run run.yaml --out run --log-format json"}) {
    const Outcome outcome = run(folder.path(), line);
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    const auto objects = objects_of(outcome);
    ASSERT_FALSE(objects.empty()) << line;
    EXPECT_EQ(objects.back()["level"], "error") << line;
    EXPECT_EQ(objects.back()["command"], line.substr(0, line.find(' '))) << line;
  }
  const Outcome wrong = run(folder.path(), "moe-eval --log-format xml");
  EXPECT_EQ(wrong.status, 2);
  EXPECT_EQ(wrong.err, "moe-eval: --log-format: expected text or json, found 'xml'; see --help\n");
}

TEST(LogFormat, TrainingTellsEpochLossAndRate) {
  const TemporaryFolder folder;
  write_pictures(folder.path(), 48);
  std::ofstream(folder.path() / "small.yaml") << small_config;
  output_of(folder.path(), "moe-ingest images.jsonl --out data");
  const Outcome trained = run(folder.path(),
                              "moe-train-base data --out base --config small.yaml --epochs 2 "
                              "--batch 16 --log-format json");
  ASSERT_EQ(trained.status, 0) << trained.err;
  const auto objects = objects_of(trained);
  const auto last = std::ranges::find_if(objects, [](const Json& o) { return o.contains("done"); });
  ASSERT_NE(last, objects.end()) << trained.err;
  EXPECT_EQ((*last)["message"], "training");
  EXPECT_EQ((*last)["done"], 6);
  EXPECT_EQ((*last)["total"], 6);
  EXPECT_EQ((*last)["epoch"], 2);
  EXPECT_GT((*last)["loss"].get<double>(), 0);
  EXPECT_GT((*last)["rate"].get<double>(), 0);
}

}  // namespace
}  // namespace hardmoe
