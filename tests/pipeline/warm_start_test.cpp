// A base that begins with weights of others or of an earlier model, and a base trained as long in
// the base's place.
#include <cmath>

#include "data/dataset.h"
#include "engine/engine.h"
#include "engine/network_facts.h"
#include "nn/resnet.h"
#include "pipeline/commands.h"
#include "references/closed_form.h"
#include "test_files.h"
#include "train/inference.h"
#include "train/warm_start.h"

namespace hardmoe {
namespace {

class WarmStartCommands : public testing::Test {
 protected:
  void prepare() const {
    write_pictures(folder.path(), 96);
    std::ofstream(folder / "c.yaml") << small_config << "run: {dataset: data, controls: false}\n";
    output_of(folder.path(), "moe-ingest images.jsonl --val-fraction 0.25 --out data");
  }
  Outcome sh(const std::string& line) const { return run(folder.path(), line); }
  void expect(const Outcome& outcome, int status, const std::vector<std::string>& words) const {
    EXPECT_EQ(outcome.status, status) << outcome.err;
    for (const auto& word : words) {
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << "\n" << outcome.err;
    }
  }
  TemporaryFolder folder;
};

/// The largest difference, of the largest value expected.
double error(std::span<const float> found, std::span<const float> expected) {
  double difference = 0, largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference = std::max(difference, double{std::abs(found[i] - expected[i])});
    largest = std::max(largest, double{std::abs(expected[i])});
  }
  return difference / largest;
}

TEST_F(WarmStartCommands, TorchvisionsWeightsAnswerAsThere) {
  // The file that torchvision's state_dict() would be saved to.
  Metadata names;
  const StateDict reference = load_safetensors(test_file("torchvision.safetensors"), &names);
  const Json shapes = Json::parse(names.at("resnet18"));
  StateDict theirs;
  for (const auto& [name, extents] : shapes.items()) {
    const auto shape = extents.get<Shape>();
    const bool counter = name.ends_with(".num_batches_tracked");
    const bool head = name.starts_with("fc.");  // here of 1000 classes; the reference has 10
    theirs.emplace(name, counter ? Tensor(DType::i64, {})
                         : head  ? Tensor(DType::f32, shape)
                                 : reference_parameter(name, shape));
  }
  save_safetensors(folder / "theirs.safetensors", theirs);
  const ModelConfig model{.depth = 18, .stem = Stem::imagenet, .width = 64, .image_size = 64};
  const Network network = resnet(model, 10);
  StateDict weights = initial_weights(network, 1);
  begin_with(read_earlier_weights(folder / "theirs.safetensors", model),
             {std::vector<std::string>(10, "tag"), std::vector<int64_t>(10, 1)}, weights);
  for (const char* head : {"fc.weight", "fc.bias"}) {
    weights.at(head) = reference_parameter(head, weights.at(head).shape());
  }
  // Its image, through everything that evaluation does.
  const auto pixels = encode_png(reference.at("images").reshaped({64, 64, 3}));
  std::ofstream(folder / "image.png", std::ios::binary) << pixels;
  std::ofstream(folder / "list.jsonl") << R"({"image": "image.png", "tags": ["one"]})"
                                       << "\n";
  output_of(folder.path(), "moe-ingest list.jsonl --out data --quiet");
  const Dataset data = Dataset::open(folder / "data");
  const auto engine = make_engine("cpu");
  Inference inference(*engine, network, model.image_size, Precision::fp32, 1);
  inference.load(weights, "weights");
  int64_t images = 0;
  inference.run(data.split("train"), {0}, [&](auto, int64_t rows, auto features, auto logits) {
    images += rows;
    EXPECT_LT(error(features, reference.at("features").as<float>()), 2e-6);
    EXPECT_LT(error(logits, reference.at("logits").as<float>()), 2e-6);
  });
  EXPECT_EQ(images, 1);
}

TEST_F(WarmStartCommands, TrainingBeginsWithThem) {
  prepare();
  const std::string train = "moe-train-base data --config c.yaml --epochs 0.3 --lr 0 ";
  output_of(folder.path(), train + "--out first --seed 9");
  fs::copy_file(folder / "first/model.safetensors", folder / "bare.safetensors");
  expect(sh(train + "--init bare.safetensors --out bare"), 0,
         {"bare: begins with bare.safetensors: all 100 tensors of the trunk; fc begins fresh"});
  expect(sh(train + "--init first --out whole"), 0,
         {"whole: begins with first/model.safetensors", "fc keeps the rows of 6 of 6 tags"});
  expect(sh("cd first && moe-train-base ../data --config ../c.yaml --epochs 0.3 --lr 0 --init "
            "model.safetensors --out ../inside"),
         0, {"begins with model.safetensors", "fc keeps the rows of 6 of 6 tags"});
  const StateDict first = load_safetensors(folder / "first/model.safetensors");
  const StateDict bare = load_safetensors(folder / "bare/model.safetensors");
  const StateDict whole = load_safetensors(folder / "whole/model.safetensors");
  for (const auto& spec :
       parameters_of(resnet({.depth = 18, .stem = Stem::small, .width = 8, .image_size = 16}, 6))) {
    if (!spec.learned) continue;  // a step moves the statistics, whatever the rate
    const auto same = [&](const StateDict& weights) {
      return std::ranges::equal(weights.at(spec.name).as<float>(), first.at(spec.name).as<float>());
    };
    EXPECT_TRUE(same(whole)) << spec.name;
    EXPECT_EQ(same(bare), !spec.name.starts_with("fc.")) << spec.name;
  }
  // The content is what counts.
  fs::rename(folder / "bare.safetensors", folder / "moved.safetensors");
  expect(sh(train + "--init moved.safetensors --out bare"), 0, {"already done"});
  expect(sh(train + "--init first --out bare"), 2,
         {"made from other inputs", "init.vocabulary: was"});
  expect(sh(train + "--out bare"), 2, {"init.weights: was", "is absent"});
  expect(sh(train + "--init whole --out whole --force"), 2, {"whole: is read and lies in whole"});
  expect(sh(train + "--init first --width 16 --out z"), 2,
         {"'conv1.weight' has shape 8×3×3×3, expected 16×3×3×3", "--depth 18 --width 8"});
  EXPECT_FALSE(fs::exists(folder / "z"));
}

TEST_F(WarmStartCommands, ARunsConfigurationNamesThem) {
  prepare();
  const std::string quick = " --set base.epochs=1 --set expert.epochs=0.5 --set decoder.epochs=1";
  output_of(folder.path(), "moe-train-base data --config c.yaml --epochs 1 --out first");
  output_of(folder.path(), "moe-run c.yaml --out run --set base.init=first" + quick);
  EXPECT_NE(read_file(folder / "run/logs/base.txt").find("begins with first/model.safetensors"),
            std::string::npos);
  EXPECT_EQ(read_json(folder / "run/base/stage.json")["inputs"]["init"]["weights"],
            sha256_of_file(folder / "first/model.safetensors"));
  expect(sh("moe-run c.yaml --out run" + quick), 2, {"base failed", "init.weights: was"});
  expect(sh("moe-run c.yaml --out other --set base.init=first --set model.width=16"), 2,
         {"moe-run: first/model.safetensors: tensor 'conv1.weight'", "model.width"});
  EXPECT_FALSE(fs::exists(folder / "other")) << "before anything is begun";
}

TEST_F(WarmStartCommands, ABaseTrainedAsLongIsABase) {
  prepare();
  const auto out = [&](const std::string& line) { return output_of(folder.path(), line); };
  const std::string train = "moe-train-expert data --config c.yaml --epochs 0.5 ";
  out("moe-train-base data --config c.yaml --epochs 1 --out base");
  out(train + "--base base --expert all --out longer");
  out("moe-embed data --model longer --out embedding");
  out("moe-partition embedding --config c.yaml --out partition");
  const std::string mixture = "--base longer --partition partition ";
  for (const char* k : {"0", "1"}) {
    out(train + mixture + "--expert " + k + " --out experts/" + std::string(k));
  }
  const std::string experts = mixture + "--experts experts ";
  out("moe-train-decoder data --config c.yaml --epochs 1 --out decoder " + experts);
  out("moe-embed data --out unified " + experts);
  const Json result = Json::parse(out("moe-eval data --json --decoder decoder " + experts));
  EXPECT_EQ(result["tags"]["experts"].size(), 2U);
  out(train + "--base longer --expert all --out longest");
  // Its parts are not the base's, nor is one expert a base.
  expect(sh(train + "--base base --partition partition --expert 0 --out z"), 2,
         {"partition", "another model than base"});
  expect(sh("moe-eval data --base base --partition partition --experts experts"), 2,
         {"another model than base"});
  expect(sh(train + "--base experts/1 --expert all --out z"), 2,
         {"experts/1: is expert 1, trained on its part alone", "--expert all"});
}

}  // namespace
}  // namespace hardmoe
