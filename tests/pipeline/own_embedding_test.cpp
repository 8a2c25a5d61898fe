// Routing by an external embedding, whose rows say each picture's colour: what goes where is
// known without any training.
#include <array>
#include <map>

#include "data/dataset.h"
#include "pipeline/commands.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

constexpr int64_t width = 64;  // as many as the base's features: only what is remembered tells

class OwnEmbedding : public testing::Test {
 protected:
  void SetUp() override {
    write_pictures(folder.path(), 320);
    std::ofstream(folder / "c.yaml") << small_config;
    sh("moe-ingest images.jsonl --val-fraction 0.25 --out data");
    for (const char* split : {"train", "val"}) {
      fs::create_directories(folder.path() / "parts" / split);
      const Tensor rows = rows_of(split);
      save_npy(folder / (std::string(split) + ".npy"), rows);
      save_npy(folder.path() / "parts" / split / "a.npy", slice(rows, 0, 30));
      save_npy(folder.path() / "parts" / split / "b.npy", slice(rows, 30, rows.size(0)));
    }
    sh("moe-train-base data --config c.yaml --epochs 1 --out base");
  }

  /// A partition by the training rows, one expert a colour; and experts, and their decoder.
  void train_mixture(const std::string& partition, const std::string& out) const {
    const std::string mixture = " --base base --partition " + partition;
    for (int k = 0; k < 4; ++k) {
      const Outcome trained = run(
          folder.path(), fmt::format("moe-train-expert data --config c.yaml{} --expert {} --epochs "
                                     "1 --quiet --out {}/{}",
                                     mixture, k, out, k));
      EXPECT_EQ(trained.status, 0) << trained.err;
      EXPECT_NE(trained.err.find("warning: " + partition + ": made of an external embedding"),
                std::string::npos)
          << "it says nothing before it trains: " << trained.err;
    }
    sh("moe-train-decoder data --config c.yaml" + mixture + " --experts " + out + " --out " + out +
       "/decoder");
  }

  int colour(const Split& split, int64_t item) const {
    for (const int32_t tag : split.truth(item)) {
      const std::string& name = dataset().vocabulary().tags[static_cast<size_t>(tag)];
      for (int c = 0; c < 4; ++c) {
        if (name == colour_names[c]) return c;
      }
    }
    return -1;
  }
  const Dataset& dataset() const {
    if (!dataset_) dataset_ = Dataset::open(folder / "data");
    return *dataset_;
  }

  Tensor rows_of(const std::string& name) const {
    const Split& split = dataset().split(name);
    Random random(static_cast<uint64_t>(split.size()), RandomUse::test);
    Tensor rows(DType::f32, {split.size(), width});
    for (int64_t i = 0; i < split.size(); ++i) {
      for (int64_t j = 0; j < width; ++j) {
        rows.as<float>()[static_cast<size_t>(i * width + j)] =
            0.1F * random.uniform() + (j == colour(split, i) ? 3.0F : 0.0F);
      }
    }
    return rows;
  }
  static Tensor slice(const Tensor& rows, int64_t begin, int64_t end) {
    const auto values = rows.as<float>().subspan(static_cast<size_t>(begin * rows.size(1)),
                                                 static_cast<size_t>((end - begin) * rows.size(1)));
    return Tensor::from(std::vector<float>(values.begin(), values.end()),
                        {end - begin, rows.size(1)});
  }

  std::string sh(const std::string& line) const { return output_of(folder.path(), line); }

  /// The line is refused, with status 2, in one sentence that has these words.
  void refused(const std::string& line, const std::vector<std::string>& words) const {
    const Outcome outcome = run(folder.path(), line);
    SCOPED_TRACE(line + "\n" + outcome.err);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(split(trim(outcome.err), '\n').size(), 1U);
    for (const auto& word : words) EXPECT_NE(outcome.err.find(word), std::string::npos) << word;
  }

  TemporaryFolder folder;
  mutable std::optional<Dataset> dataset_;
};

constexpr const char* mixture = " --base base --partition p --experts e";

TEST_F(OwnEmbedding, RoutesByItsRows) {
  const std::string partition =
      "moe-partition --config c.yaml --num-experts 4 --tolerance 0 --quiet ";
  sh(partition + "train.npy --out p");
  EXPECT_EQ(read_json(folder / "p/stage.json")["inputs"]["external"],
            (Json{{"images", dataset().split("train").size()}, {"width", width}}));
  train_mixture("p", "e");

  // Which expert has which colour; all of it.
  const auto assignment = load_npy(folder / "p/assignment.npy");
  std::map<int, uint16_t> expert_of;
  for (int64_t i = 0; i < assignment.elements(); ++i) {
    const uint16_t expert = assignment.as<uint16_t>()[static_cast<size_t>(i)];
    expert_of.emplace(colour(dataset().split("train"), i), expert);
    ASSERT_EQ(expert_of.at(colour(dataset().split("train"), i)), expert);
  }
  std::array<int64_t, 4> expected = {};
  const Split& val = dataset().split("val");
  for (int64_t i = 0; i < val.size(); ++i) ++expected[expert_of.at(colour(val, i))];
  for (const std::string rows : {"val.npy", "parts/val", "parts/val/a.npy,parts/val/b.npy",
                                 "parts/val/a.npy parts/val/b.npy"}) {
    const Json found = Json::parse(
        sh("moe-eval --json --quiet --features " + rows + std::string(mixture) + " data"));
    EXPECT_EQ(found["routed_by"], "features");
    for (size_t k = 0; k < 4; ++k) {
      EXPECT_EQ(found["truth"]["experts"][k]["images"], expected[k]) << rows;
    }
  }
  // Several experts an image, the decoder they share; the base is no part of it.
  const Json top =
      Json::parse(sh("moe-eval data --json --features val.npy --decoder e/decoder "
                     "--top-experts 3 --temperature 9" +
                     std::string(mixture)));
  EXPECT_EQ(top["truth"]["images"], val.size());
  EXPECT_EQ(top["truth"]["experts"][expert_of.at(0)]["images"], expected[expert_of.at(0)]);
  const Json base = Json::parse(sh("moe-eval data --json --model base"));
  EXPECT_LT(top["flops_per_image"].get<double>(), 3.01 * base["flops_per_image"].get<double>());
  EXPECT_NE(sh("moe-eval data --features val.npy" + std::string(mixture))
                .find("FLOPs an image, without what made --features"),
            std::string::npos);

  // The unified embedding of the training images is the decoder's, to the byte.
  sh("moe-embed data --features train.npy --out u" + std::string(mixture));
  EXPECT_EQ(sha256_of_file(folder / "u/train.npy"), sha256_of_file(folder / "e/decoder/train.npy"));
  sh("moe-embed data --split val --features val.npy --out v" + std::string(mixture));
  EXPECT_EQ(load_npy(folder / "v/val.npy").shape(), (Shape{val.size(), width}));

  // Rows that are not scaled as the training rows all go one way, which is said.
  Tensor scaled = rows_of("val");
  for (float& value : scaled.as<float>()) value = value * 0.01F + 2;
  save_npy(folder / "scaled.npy", scaled);
  const Outcome skewed =
      run(folder.path(), "moe-eval data --quiet --features scaled.npy" + std::string(mixture));
  EXPECT_EQ(skewed.status, 0);
  EXPECT_NE(skewed.err.find(fmt::format("warning: of {} images none go to experts", val.size())),
            std::string::npos)
      << skewed.err;
  EXPECT_NE(skewed.out.find("–"), std::string::npos) << skewed.out;
  const Json none =
      Json::parse(sh("moe-eval data --json --quiet --features scaled.npy" + std::string(mixture)));
  int empty = 0;
  for (const Json& expert : none["tags"]["experts"]) {
    if (expert["images"] == 0) {
      ++empty;
      EXPECT_TRUE(expert["mAP"].is_null() && expert["P@1"].is_null()) << expert;
    }
  }
  EXPECT_GE(empty, 2);
}

TEST_F(OwnEmbedding, IsAskedForAndLookedAt) {
  sh("moe-partition train.npy --config c.yaml --num-experts 4 --tolerance 0 --quiet --out p");
  train_mixture("p", "e");
  sh("moe-embed data --model base --split train val --out features");
  sh("moe-partition features/train.npy --config c.yaml --out q --quiet");  // as of the folder
  EXPECT_TRUE(read_json(folder / "q/stage.json")["inputs"].contains("model"));
  const Tensor rows = rows_of("val");
  save_npy(folder / "short.npy", slice(rows, 0, rows.size(0) - 1));
  save_npy(folder / "narrow.npy", Tensor(DType::f32, {rows.size(0), 5}));
  save_npy(folder / "whole.npy", Tensor(DType::i32, {rows.size(0), width}));
  const std::string eval = "moe-eval data" + std::string(mixture);
  const std::string embed = "moe-embed data --out x" + std::string(mixture);
  const int64_t train = dataset().split("train").size(), val = rows.size(0);
  const std::string val_has = fmt::format("split 'val' has {} images", val);
  const std::string images = fmt::format("{} images of split 'val'", val);
  refused(eval,
          {"p: made of an external embedding (64 values an image)", images, "--features FILE.npy"});
  refused(eval + " --decoder e/decoder --top-experts 2", {"--features FILE.npy"});
  refused(embed, {"of split 'train'", "--features FILE.npy"});
  refused(embed + " --split train val --features train.npy", {"train, val", "one at a time"});
  refused(eval + " --features short.npy", {fmt::format("short.npy: {} rows", val - 1), val_has});
  refused(eval + " --features val.npy --split train",
          {fmt::format("val.npy: {} rows", val), "split 'train'"});
  refused(eval + " --features train.npy", {fmt::format("train.npy: {} rows", train), val_has});
  refused(eval + " --features narrow.npy", {"narrow.npy: rows of 5 values", "p was made of 64"});
  refused(eval + " --features whole.npy", {"whole.npy: holds int32", "float16"});
  refused(eval + " --features gone.npy", {"gone.npy: no such file"});
  refused(eval + " --features ,", {"--features: names no file"});
  refused(eval + " --features val.npy,val.npy", {"val.npy: named twice"});
  for (const char* made : {"features", "features/val.npy"}) {
    refused(eval + " --features " + made, {made, "moe-embed made it", "partition this"});
  }
  refused("moe-eval data --model base --features val.npy", {"--model", "--features"});
  refused("moe-partition features/val.npy --out x", {"split 'val'", "'train'"});
  refused("moe-partition features train.npy --out x", {"features: moe-embed made it", "alone"});
  const std::string decoder =
      "moe-train-decoder data --config c.yaml --out d" + std::string(mixture);
  refused(decoder + " --features val.npy",
          {"not the embedding that p was made of", "leave it out"});
  sh(decoder + " --features train.npy --quiet");
  // And where the base routes, there is nothing to give.
  for (const char* expert : {"0", "1"}) {
    sh(
        fmt::format("moe-train-expert data --config c.yaml --epochs 1 --base base --partition q "
                    "--expert {} --out f/{}",
                    expert, expert));
  }
  refused("moe-eval data --base base --partition q --experts f --features val.npy",
          {"--features: leave it out", "q was made of the base's features"});
  EXPECT_FALSE(fs::exists(folder / "x"));
}

TEST_F(OwnEmbedding, ReplacesTheBasesInAWholeRun) {
  std::ofstream(folder / "run.yaml") << small_config << R"(
run: {dataset: data, controls: false, embedding: [train.npy], features: [parts/val/a.npy, parts/val/b.npy]}
)";
  const std::string line = "moe-run run.yaml --out run --set base.epochs=1 --set expert.epochs=1";
  const int64_t train = dataset().split("train").size(), val = dataset().split("val").size();
  refused(line + " --set run.features=[]", {"run.embedding: needs run.features, too"});
  refused(line + " --set run.embedding=[]", {"run.features: needs run.embedding, too"});
  refused(line + " --set run.features=[train.npy]",
          {fmt::format("run.features: {} rows, split 'val' of data has {}", train, val)});
  refused(line + " --set run.embedding=[val.npy]",
          {fmt::format("run.embedding: {} rows, split 'train' of data has {}", val, train)});
  save_npy(folder / "narrow.npy", Tensor(DType::f32, {val, 5}));
  refused(line + " --set run.features=[narrow.npy]", {"rows of 5 values", "64"});
  EXPECT_FALSE(fs::exists(folder / "run"));
  const Outcome first = run(folder.path(), line);
  const std::string& table = first.out;
  EXPECT_EQ(first.err.find("as --features"), std::string::npos) << first.err;  // it has them
  EXPECT_NE(table.find("mixture, shared decoder"), std::string::npos) << table;
  EXPECT_NE(table.find("FLOPs without what made run.embedding"), std::string::npos) << table;
  EXPECT_FALSE(fs::exists(folder / "run/embedding"));
  EXPECT_EQ(read_json(folder / "run/eval/shared/metrics.json")["routed_by"], "features");
  EXPECT_EQ(sh(line), table);
}

}  // namespace
}  // namespace hardmoe
