// The configuration of all commands: what is assumed, refused, and kept when it is frozen.
#include "tasks/config.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "expect_error.h"
#include "tasks/expert_images.h"
#include "tasks/training.h"
#include "temporary_folder.h"
#include "test_files.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

Config loaded(const std::string& yaml) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "run.yaml", yaml);
  Config config;
  load_yaml(folder / "run.yaml", fields_of(config));
  return config;
}

/// Sets every field to something it is not.
void change_all(const std::vector<Fields::Field>& fields, int& number) {
  for (const auto& field : fields) {
    if (!field.section.empty()) {
      change_all(field.section, number);
      continue;
    }
    if (field.name == "columns") {  // not every text is one of its values
      field.parse({"image=a b", "tags=c", "tags=d", "key=e"});
      continue;
    }
    if (field.name == "controls") {
      field.parse({"steps", "wider"});
      continue;
    }
    if (field.name == "levers") {
      field.parse({"router"});
      continue;
    }
    const std::string digits = std::to_string(++number);
    const Json before = field.value();
    bool changed = false;
    for (const std::string& text : {digits + ".0625",       digits,
                                    std::string("true"),    std::string("false"),
                                    std::string("adamw"),   std::string("sigmoid"),
                                    std::string("bf16"),    std::string("step"),
                                    std::string("pad"),     std::string("imagenet"),
                                    std::string("top-tag"), std::string("scratch"),
                                    std::string("uniform"), std::string("keep"),
                                    std::string("copy"),    std::string("dataset"),
                                    std::string("nearest"), std::string("arithmetic"),
                                    std::string("blend"),   std::string("vit"),
                                    std::string("S"),       std::string("mean"),
                                    std::string("sincos"),  std::string("vmoe"),
                                    std::string("conv"),    std::string("both"),
                                    std::string("near")}) {
      changed = changed || (field.parse({text}) && field.value() != before);
    }
    EXPECT_TRUE(changed) << field.name;
    if (field.is_list) field.parse({digits, "0.5"});
    if (field.type == "text" || field.type == "a path")
      field.parse({"it's: \"" + digits + "\" # {of} [all],\ttabs é"});
  }
}

TEST(ExpertConfig, SettingsThatKeepItNearItsBaseAreChecked) {
  EXPECT_NO_THROW(
      check_nearness(loaded("expert: {distill: 0.5, pull: 0.1, slow: [conv1.*]}").expert));
  const auto refused = [](const std::string& expert, const std::vector<std::string>& words) {
    const Config config = loaded("expert: {" + expert + "}");
    expect_error([&] { check_nearness(config.expert); }, words, ExitStatus::usage);
  };
  refused("distill: -1", {"expert.distill", "at least 0", "-1"});
  refused("distill_temperature: 0", {"expert.distill_temperature", "more than 0"});
  refused("pull: 0.1, start: scratch", {"expert.pull", "expert.start: scratch"});
}

TEST(ExpertConfig, TheseAreNoInputsOfOtherStages) {
  const Json inputs = training_inputs(loaded("").expert);
  for (const char* key : {"pull", "slow", "slow_factor", "distill"}) {
    EXPECT_FALSE(inputs.contains(key)) << key;
  }
}

TEST(RunConfig, HasTheDocumentedDefaults) {
  const Config config = loaded("");
  EXPECT_EQ(config.seed, 1U);
  EXPECT_EQ(config.model.depth, 18);
  EXPECT_EQ(config.base.lr, 0.1);
  EXPECT_EQ(config.expert.lr, 0.05);
  EXPECT_EQ(config.expert.start, ExpertStart::base);
  EXPECT_EQ(config.decoder.epochs, 2);
  EXPECT_EQ(config.decoder.weight_decay, 0);
  EXPECT_EQ(config.eval.top_experts, 1);
  EXPECT_EQ(config.partition.experts, 4);
  EXPECT_EQ(config.run.controls, std::set<Control>{Control::longer});
  EXPECT_EQ(config.run.seeds, 1);
}

TEST(RunConfig, ControlsAreAListOrAWord) {
  const auto controls = [](const std::string& text) {
    return control_names(loaded("run: {controls: " + text + "}").run.controls);
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(controls("[top-tag, wider]"), (Names{"wider", "top-tag"}));
  EXPECT_EQ(controls("steps"), Names{"steps"});
  EXPECT_EQ(controls("base-and-longer"), (Names{"longer", "base-and-longer"}));
  EXPECT_EQ(controls("all"), (Names{"longer", "wider", "ensemble", "base-and-longer", "random",
                                    "top-tag", "steps"}));
  EXPECT_EQ(controls("none"), Names());
  EXPECT_EQ(controls("[]"), Names());
  EXPECT_EQ(controls("true"), Names{"longer"});  // as earlier versions had it
  EXPECT_EQ(controls("false"), Names());
  expect_error([&] { controls("[longer, widr]"); }, {"run.controls", "base-and-longer", "'widr'"},
               ExitStatus::usage);
  expect_error([&] { controls("[longer, all]"); }, {"run.controls", "'all'"}, ExitStatus::usage);
}

TEST(RunConfig, LeversAreAListOrAWord) {
  const auto levers = [](const std::string& text) {
    return lever_names(loaded("run: {levers: " + text + "}").run.levers);
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(Config().run.levers, std::set<Lever>());
  EXPECT_EQ(levers("[finetune, reroute]"), (Names{"reroute", "finetune"}));
  EXPECT_EQ(levers("router"), Names{"router"});
  EXPECT_EQ(levers("all"), (Names{"reroute", "router", "finetune"}));
  EXPECT_EQ(levers("none"), Names());
  EXPECT_EQ(levers("false"), Names());
  expect_error([&] { levers("[reroute, longer]"); },
               {"run.levers", "reroute, router, finetune", "'longer'"}, ExitStatus::usage);
  expect_error([&] { levers("[router, all]"); }, {"run.levers", "'all'"}, ExitStatus::usage);
}

TEST(RunConfig, ASettingLeftAloneIsNoOtherInput) {
  TrainConfig config;
  EXPECT_FALSE(training_inputs(config).contains("sampling"));  // results made before it count on
  config.sampling = Sampling::uniform;
  EXPECT_EQ(training_inputs(config)["sampling"], "uniform");
}

TEST(RunConfig, LeversLeftAloneAreNoOtherInput) {
  ExpertConfig config;
  EXPECT_TRUE(expert_inputs(config, true).empty());
  config.outside_weight = 0.5;  // of no images
  config.outside_from = OutsideFrom::nearest;
  EXPECT_TRUE(expert_inputs(config, true).empty());
  config.outside = 0.5;
  config.overlap = 2;
  config.epochs_of = EpochsOf::dataset;
  EXPECT_TRUE(expert_inputs(config, false).empty()) << "nothing is outside of all images";
  EXPECT_EQ(expert_inputs(config, true), (Json{{"epochs_of", "dataset"},
                                               {"overlap", 2},
                                               {"outside", 0.5},
                                               {"outside_from", "nearest"},
                                               {"outside_weight", 0.5},
                                               {"nearest", 2}}));
  config.judging.patience = 3;
  EXPECT_EQ(expert_inputs(config, false), (Json{{"patience", 3}}));
}

TEST(RunConfig, LeversOutOfRangeAreNamed) {
  const auto refused = [](const std::string& yaml, const std::vector<std::string>& words) {
    const Config config = loaded(yaml);
    expect_error([&] { check_expert_config(config.expert); }, words, ExitStatus::usage);
  };
  refused("expert: {outside: 1}", {"expert.outside", "below 1", "found 1"});
  refused("expert: {outside_weight: -1}", {"expert.outside_weight", "found -1"});
  refused("expert: {overlap: 0}", {"expert.overlap", "1 or more", "found 0"});
  refused("expert: {patience: -2}", {"expert.patience", "found -2"});
  const Config config = loaded("base: {patience: -1}");
  expect_error([&] { check_base_config(config.base); }, {"base.patience"}, ExitStatus::usage);
}

TEST(RunConfig, TheLearningRateFollowsTheRootOfAPartsSize) {
  Partition partition;
  partition.sizes = {250, 500, 1, 249, 5000, 0, 0, 0};
  partition.assignment.resize(2000);
  EXPECT_DOUBLE_EQ(lr_factor(partition, 0), 1);
  EXPECT_DOUBLE_EQ(lr_factor(partition, 1), std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(lr_factor(partition, 2), 0.5);
  EXPECT_DOUBLE_EQ(lr_factor(partition, 4), 2);
}

TEST(RunConfig, SectionsAreOfOneKindEach) {
  const Config config = loaded("base: {lr: 0.3, augment: {flip: false}}\nexpert: {lr: 0.2}\n");
  EXPECT_EQ(config.base.lr, 0.3);
  EXPECT_EQ(config.expert.lr, 0.2);
  EXPECT_FALSE(config.base.augment.flip);
  EXPECT_TRUE(config.expert.augment.flip);
}

TEST(RunConfig, MistakesAreNamedWithLineAndRemedy) {
  const auto refused = [](const std::string& yaml, const std::vector<std::string>& words) {
    expect_error([&] { loaded(yaml); }, words, ExitStatus::usage);
  };
  refused("seed: 1\nexpert:\n  epohcs: 3\n",
          {"run.yaml, line 3", "'expert.epohcs'", "did you mean 'expert.epochs'?"});
  refused("base: {augment: {flp: true}}\n", {"line 1", "did you mean 'base.augment.flip'?"});
  refused("base: {start: scratch}\n", {"'base.start'"});  // of experts only
  refused("\n\nmodel: {depth: eighteen}\n",
          {"line 3", "'model.depth' takes a whole number, found 'eighteen'"});
  refused("base: {schedule: cosin}\n", {"one of cosine, linear, step, constant", "'cosin'"});
  refused("partition: {method: kmean}\n", {"kmeans", "'kmean'"});
}

TEST(RunConfig, IngestIsASectionLikeTheOthers) {
  const Config config = loaded(
      "ingest:\n  sources: [photos, 'a, b.tar']\n  resize: 64\n  columns: [image=file, "
      "'tags=words,tags=place']\n  storage: copy\n  stop_tags: stop.txt\n  images: [one, two]\n");
  EXPECT_EQ(config.ingest.sources, (std::vector<std::string>{"photos", "a, b.tar"}));
  EXPECT_EQ(config.ingest.resize, 64);
  EXPECT_EQ(config.ingest.source.columns.image, std::vector<std::string>{"file"});
  EXPECT_EQ(config.ingest.source.columns.tags, (std::vector<std::string>{"words", "place"}));
  EXPECT_EQ(config.ingest.storage, ShardStorage::copy);
  EXPECT_EQ(config.ingest.stop_tags, "stop.txt");
  EXPECT_EQ(config.ingest.source.images.size(), 2U);
}

TEST(RunConfig, KeysOfEarlierVersionsAreRefusedWithWhatToWrite) {
  expect_error([&] { loaded("run:\n  sources: [a]\n"); },
               {"run.yaml, line 2", "'run.sources' is no key any more: it is 'ingest.sources' now"},
               ExitStatus::usage);
  expect_error([&] { loaded("run: {ingest_options: [--resize, '64']}\n"); },
               {"'run.ingest_options'", "ingest: {val_fraction: 0.1}"}, ExitStatus::usage);
}

TEST(RunConfig, InferenceIsAsPreciseAsTrainingUnlessTold) {
  const Config config = loaded("embed: {precision: bf16}\n");
  EXPECT_EQ(inference_precision(config.embed.precision, Precision::fp32), Precision::bf16);
  EXPECT_EQ(inference_precision(config.eval.precision, Precision::tf32), Precision::tf32);
  EXPECT_EQ(inference_precision(InferencePrecision::fp32, Precision::bf16), Precision::fp32);
}

TEST(RunConfig, FreezingKeepsEverything) {
  Config config;
  int number = 100;
  change_all(fields_of(config).list(), number);
  EXPECT_GT(number, 195);
  const Json before = config_json(fields_of(config));
  Config thawed = loaded(config_yaml(fields_of(config)));
  EXPECT_EQ(json_differences(before, config_json(fields_of(thawed))), std::vector<std::string>{});
}

TEST(RunConfig, EveryConfigurationOfTheRepositoryLoads) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(test_files() / "../../configs")) {
    if (entry.path().extension() != ".yaml") continue;
    Config config;
    EXPECT_NO_THROW(load_yaml(entry.path(), fields_of(config))) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 2);
}

}  // namespace
}  // namespace hardmoe
