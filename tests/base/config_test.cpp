#include "base/config.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

enum class Shape { round, square };

struct Inner {
  double lr = 0.1;
  Shape shape = Shape::round;
  std::vector<double> steps = {1, 2.5};
  std::filesystem::path file = "a/b";
  std::vector<std::filesystem::path> files;
  std::vector<std::string> pairs = {"a=b"};  ///< of which each has a '='
  void describe(Fields& f) {
    f.add("lr", lr, "learning rate");
    f.add_enum("shape", shape, {"round", "square"}, "of the thing");
    f.add("steps", steps, "epochs");
    f.add("file", file, "to read");
    f.add("files", files, "to read, too");
    f.add_list(
        "pairs", [this] { return pairs; },
        [this](const std::vector<std::string>& texts) {
          for (const auto& text : texts) {
            if (text.find('=') == std::string::npos) fail_usage("pairs: '{}' has no '='", text);
          }
          pairs = texts;
        },
        "which is which");
    f.add_moved("rate", "it is 'inner.lr'");
  }
};

struct Outer {
  int epochs = 5;
  int64_t images = 1;
  uint64_t seed = 1;
  bool flip = true;
  std::string name = "a: \"b\" # c";
  std::vector<std::string> sources;
  Inner inner;
  void describe(Fields& f) {
    f.add("epochs", epochs, "passes over the data");
    f.add("images", images, "");
    f.add("seed", seed, "of all that is random");
    f.add("flip", flip, "mirror half of the images");
    f.add("name", name, "of the run");
    f.add("sources", sources, "what to read");
    f.add_section("inner", inner, "the inner part");
  }
};

class ConfigTest : public testing::Test {
 protected:
  void load(const std::string& yaml) {
    write_file_atomic(folder / "run.yaml", yaml);
    load_yaml(folder / "run.yaml", fields_of(config));
  }
  void expect_refused(const std::string& yaml, const std::vector<std::string>& words) {
    expect_error([&] { load(yaml); }, words, ExitStatus::usage);
  }
  TemporaryFolder folder;
  Outer config;
};

TEST_F(ConfigTest, ReadsEveryKind) {
  load(
      "epochs: 7\nimages: 5000000000\nseed: 18446744073709551615\nflip: false\n"
      "name: words with spaces\nsources: [a.tar, 'b c.tar']\n"
      "inner:\n  lr: 5e-4\n  shape: square\n  steps: [30, .5]\n");
  EXPECT_EQ(config.epochs, 7);
  EXPECT_EQ(config.images, 5000000000);
  EXPECT_EQ(config.seed, UINT64_MAX);
  EXPECT_FALSE(config.flip);
  EXPECT_EQ(config.name, "words with spaces");
  EXPECT_EQ(config.sources, (std::vector<std::string>{"a.tar", "b c.tar"}));
  EXPECT_EQ(config.inner.lr, 5e-4);
  EXPECT_EQ(config.inner.shape, Shape::square);
  EXPECT_EQ(config.inner.steps, (std::vector<double>{30, 0.5}));
  load("inner: {file: 'x y.tsv', files: [one, 'two, three'], pairs: [b=c, d=e]}\n");
  EXPECT_EQ(config.inner.file, "x y.tsv");
  EXPECT_EQ(config.inner.files, (std::vector<std::filesystem::path>{"one", "two, three"}));
  EXPECT_EQ(config.inner.pairs, (std::vector<std::string>{"b=c", "d=e"}));
}

TEST_F(ConfigTest, AKeyOfEarlierVersionsIsRefusedWithWhatToWrite) {
  expect_refused("inner:\n  rate: 3\n",
                 {"line 2", "'inner.rate' is no key any more: it is 'inner.lr'"});
  expect_error([&] { apply_override("inner.rate=3", fields_of(config)); },
               {"--set inner.rate=3", "it is 'inner.lr'"}, ExitStatus::usage);
}

TEST_F(ConfigTest, AValueThatAKeyCannotReadIsRefusedInItsWords) {
  expect_refused("inner: {pairs: [b]}\n", {"pairs: 'b' has no '='"});
}

TEST_F(ConfigTest, SetKeyTakesListsWithCommasInThem) {
  set_key(fields_of(config), "sources", {"a, b.tar", "[c]"}, "SOURCE");
  EXPECT_EQ(config.sources, (std::vector<std::string>{"a, b.tar", "[c]"}));
  expect_error([&] { set_key(fields_of(config), "epochs", {"many"}, "--epochs"); },
               {"--epochs: 'epochs' takes a whole number, found 'many'"}, ExitStatus::usage);
}

TEST_F(ConfigTest, ListsEveryKeyWithItsDefault) {
  const auto keys = config_keys(fields_of(config));
  ASSERT_EQ(keys.size(), 13U);
  EXPECT_EQ(keys[0].path, "epochs");
  EXPECT_EQ(keys[0].type, "a whole number");
  EXPECT_EQ(keys[0].help, "passes over the data");
  EXPECT_EQ(keys[0].value, 5);
  EXPECT_EQ(keys[6].path, "inner");
  EXPECT_EQ(keys[6].type, "a section");
  EXPECT_EQ(keys[6].value, nullptr);
  EXPECT_EQ(keys[8].path, "inner.shape");
  EXPECT_EQ(keys[8].value, "round");
  EXPECT_EQ(keys[10].value, "a/b");
}

TEST_F(ConfigTest, AbsentKeysKeepTheirValues) {
  load("# nothing but a comment\n");
  load("inner:\n");
  load("inner: {lr: 1}\n");
  EXPECT_EQ(config.epochs, 5);
  EXPECT_EQ(config.inner.steps.size(), 2U);
}

TEST_F(ConfigTest, UnknownKeyNamesLineAndNearest) {
  expect_refused("flip: true\nepoch: 3\n",
                 {"run.yaml, line 2", "'epoch'", "did you mean 'epochs'"});
  expect_refused("inner:\n  lr: 1\n  shap: round\n", {"line 3", "'inner.shap'", "'inner.shape'"});
  expect_refused("temperature: 3\n", {"'temperature'", "known here: epochs, images"});
}

TEST_F(ConfigTest, WrongTypeNamesWhatIsExpected) {
  expect_refused("epochs: many\n", {"line 1", "'epochs'", "a whole number", "'many'"});
  expect_refused("epochs: 1.5\n", {"a whole number", "1.5"});
  expect_refused("epochs: 99999999999\n", {"a whole number"});
  expect_refused("seed: -1\n", {"'seed'", "a whole number ≥ 0", "-1"});
  expect_refused("flip: maybe\n", {"true or false"});
  expect_refused("epochs: [1, 2]\n", {"'epochs'", "found a list"});
  expect_refused("epochs:\n", {"'epochs'", "found nothing"});
  expect_refused("name: {a: b}\n", {"'name'", "found a section"});
  expect_refused("sources: [a, [b]]\n", {"'sources'", "an item that is not one"});
  expect_refused("inner: 3\n", {"under 'inner'", "'3'"});
  expect_refused("inner: {lr: nan}\n", {"'inner.lr'", "a number"});
  expect_refused("inner: {shape: oval}\n", {"'inner.shape'", "round, square", "'oval'"});
  expect_refused("inner: {shape: [round, square]}\n", {"'inner.shape'", "found a list"});
  expect_refused("inner: {steps: [1, two]}\n", {"'inner.steps'", "a list of numbers"});
  expect_refused("- epochs\n", {"line 1", "found 'a list'"});
}

TEST_F(ConfigTest, KeyGivenTwiceIsRefused) {
  expect_refused("epochs: 3\nflip: true\nepochs: 4\n", {"line 3", "'epochs'", "second time"});
}

TEST_F(ConfigTest, BrokenYamlNamesItsLine) {
  expect_refused("epochs: 3\nsources: [a, b\n", {"run.yaml, line 3", "not valid YAML"});
  expect_refused("epochs: 3\n\tname: x\n", {"line 2", "not valid YAML"});
}

TEST_F(ConfigTest, AbsentFileIsAUsageError) {
  expect_error([&] { load_yaml(folder / "none.yaml", fields_of(config)); }, {"none.yaml"},
               ExitStatus::usage);
}

TEST_F(ConfigTest, OverridesReplaceWhatTheFileSays) {
  const auto set = [&](const char* assignment) { apply_override(assignment, fields_of(config)); };
  set("epochs=9");
  set("inner.lr = 0.25");
  set("inner.steps=[1, 2,3]");
  set("inner.shape=square");
  set("name=a=b");
  set("sources=one.tar");
  EXPECT_EQ(config.epochs, 9);
  EXPECT_EQ(config.inner.lr, 0.25);
  EXPECT_EQ(config.inner.steps, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(config.inner.shape, Shape::square);
  EXPECT_EQ(config.name, "a=b");
  EXPECT_EQ(config.sources, std::vector<std::string>{"one.tar"});
  set("sources=[]");
  EXPECT_TRUE(config.sources.empty());

  const auto refused = [&](const char* assignment, const std::vector<std::string>& words) {
    expect_error([&] { set(assignment); }, words, ExitStatus::usage);
  };
  refused("epochs", {"--set epochs", "KEY=VALUE"});
  refused("epoch=3", {"'epoch'", "'epochs'"});
  refused("inner.l=3", {"'inner.l'", "'inner.lr'"});
  refused("inner=3", {"'inner' is a section"});
  refused("epochs.x=3", {"'epochs' has no keys inside"});
  refused("epochs=", {"a whole number"});
  refused("=3", {"unknown key ''"});
}

TEST_F(ConfigTest, FrozenConfigurationReadsBackTheSame) {
  config.inner.lr = 1.0 / 3;
  config.inner.shape = Shape::square;
  config.inner.steps.clear();
  config.sources = {"a, b", "c\"d", "- e", ""};
  config.name = "multi\nline: \\ é";
  config.seed = UINT64_MAX;
  const Json before = config_json(fields_of(config));
  const std::string yaml = config_yaml(fields_of(config));
  EXPECT_NE(yaml.find("# passes over the data"), std::string::npos) << yaml;
  config = Outer();
  load(yaml);
  EXPECT_EQ(config_json(fields_of(config)), before) << yaml;
  EXPECT_EQ(config_yaml(fields_of(config)), yaml);
}

}  // namespace
}  // namespace hardmoe
