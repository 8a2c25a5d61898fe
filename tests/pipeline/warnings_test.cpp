// What a person must see though the exit status is 0: on the terminal of the command, of the run
// that started it, and again of whoever asks for the finished result.
#include "pipeline/commands.h"

namespace hardmoe {
namespace {

class Warnings : public testing::Test {
 protected:
  /// The lines of a command that succeeds on its standard error, but for messages.
  std::vector<std::string> of(const std::string& line) const {
    const Outcome outcome = run(folder.path(), line);
    EXPECT_EQ(outcome.status, 0) << line << "\n" << outcome.err;
    std::vector<std::string> warnings;
    for (const auto& text : split(outcome.err, '\n')) {
      if (text.starts_with("warning: ")) warnings.push_back(text);
    }
    return warnings;
  }
  void expect(const std::string& line, const std::vector<std::string>& words) const {
    const auto warnings = of(line);
    ASSERT_EQ(warnings.size(), words.size()) << line << "\n" << join(warnings, "\n");
    for (size_t i = 0; i < words.size(); ++i) {
      EXPECT_NE(warnings[i].find(words[i]), std::string::npos) << warnings[i];
    }
  }
  /// A list that gives every picture these tags.
  void list(const std::string& name, const Json& tags, int count = 32) const {
    std::ofstream lines(folder / name);
    for (int i = 0; i < count; ++i) {
      lines << Json{{"image", fmt::format("pictures/{:04}.png", i)}, {"tags", tags}}.dump() << "\n";
    }
  }
  TemporaryFolder folder;
};

TEST_F(Warnings, TellOfTagsFromWhichNothingIsLearned) {
  write_pictures(folder.path(), 32);
  list("one.jsonl", {"event"});
  std::ofstream(folder / "c.yaml") << small_config;
  const std::string same = "all 32 images to train on have the same tag, 'event'";
  expect("moe-ingest one.jsonl --out one --quiet", {"warning: one: " + same});
  expect("moe-ingest one.jsonl --out one", {"warning: one: " + same});
  const std::string train = "moe-train-base one --config c.yaml --epochs 1 --out base --quiet";
  expect(train, {"warning: one: " + same});
  expect(train, {"warning: one: " + same});  // done already: it is as true as before
  // Under a run: of each stage once, with its name.
  std::ofstream(folder / "run.yaml") << small_config
                                     << "ingest: {sources: [one.jsonl], val_sources: "
                                        "[images.jsonl], duplicates: keep, max_bad: 1}\n"
                                     << "run: {controls: false}\n";
  list("images.jsonl", {"event"}, 4);
  const std::string quick =
      " --set base.epochs=1 --set expert.epochs=1 --set decoder.epochs=1 --set expert.batch=8";
  const std::vector<std::string> both = {"warning: ingest: run/dataset: " + same,
                                         "warning: base: run/dataset: " + same};
  expect("moe-run run.yaml --out run --quiet" + quick, both);
  expect("moe-run run.yaml --out run --quiet" + quick, both);
  EXPECT_NE(read_file(folder / "run/logs/base.txt").find("warning: run/dataset: " + same),
            std::string::npos);
}

TEST_F(Warnings, TellOfWhatIsNotInTheDataset) {
  write_pictures(folder.path(), 8);
  std::ofstream(folder / "images.jsonl", std::ios::app)
      << R"({"image": "pictures/none.png", "tags": ["red"]})"
      << "\n"
      << R"({"image": "pictures/0001.png", "tags": []})"
      << "\n";
  expect(
      "moe-ingest images.jsonl --max-bad 0.5 --out data",
      {"of 10 items these are not in the dataset: 1 unreadable image (train), 1 no tags (train); "
       "see data/rejected.jsonl"});
  write_pictures(folder.path(), 8);
  expect("moe-ingest images.jsonl --val-fraction 0.001 --out whole",
         {"no split 'val' to evaluate on: --val-fraction 0.001 chose none of the 8 items"});
  expect("moe-ingest images.jsonl --out none", {});
}

TEST_F(Warnings, TellOfWhatIsNotMeasured) {
  write_pictures(folder.path(), 64);
  std::ofstream(folder / "c.yaml") << small_config << "run: {dataset: data, controls: false}\n";
  output_of(folder.path(),
            "head -3 images.jsonl > val.jsonl; moe-ingest images.jsonl --val-source "
            "val.jsonl --duplicates keep --out data");
  const std::string quick =
      " --set base.epochs=1 --set expert.epochs=1 --set decoder.epochs=1 --set expert.batch=8";
  output_of(folder.path(), "moe-run c.yaml --out run --set partition.method=random" + quick);
  // Three images cannot fit a temperature; a few more are too few.
  const std::string mixture =
      "moe-eval data --base run/base --partition run/partition --experts run/experts ";
  const Outcome three = run(folder.path(), mixture + "--top-experts 2");
  EXPECT_EQ(three.status, 2);
  EXPECT_NE(three.err.find("the split has only 3; set eval.temperature"), std::string::npos)
      << three.err;
  expect(mixture + "--split train --top-experts 2",
         {"fitted on 6 images, which are not evaluated; that is too few"});
}

}  // namespace
}  // namespace hardmoe
