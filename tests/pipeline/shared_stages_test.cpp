// Experts that keep the base's first stages, as commands: what they share is computed once, and
// each image's answer is that of the whole networks.
#include "matrix_rows.h"
#include "pipeline/commands.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"

namespace hardmoe {
namespace {

class SharedStages : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    write_pictures(folder->path(), 320);
    std::ofstream(*folder / "c.yaml") << small_config;
    sh("moe-ingest images.jsonl --out data --val-fraction 0.25 --quiet && "
       "moe-train-base data --epochs 2 --out base" +
       config + " && moe-embed data --model base --out embedding" + config +
       " && moe-partition embedding --out p" + config +
       " && for k in 0 1; do moe-train-expert data --base base --partition p --expert $k "
       "--set 'expert.freeze=[conv1.*, bn1.*, layer1.*, layer2.*]' --out e/$k" +
       config + "; done");
    for (const char* model : {"base", "e/0", "e/1"}) {
      sh("moe-eval data --model " + std::string(model) + " --out alone/" + model + config);
      sh("moe-embed data --split val --model " + std::string(model) + " --out features/" + model +
         config);
    }
    evaluate("local", "");
  }
  static void TearDownTestSuite() { delete folder; }

  static std::string sh(const std::string& line) { return output_of(folder->path(), line); }
  static Json evaluate(const std::string& out, const std::string& more) {
    sh("moe-eval data --out " + out + " " + more + mixture + config);
    return read_json(*folder / out / "metrics.json");
  }
  static Tensor array(const std::string& file) { return load_npy(*folder / file); }
  static inline const std::string config = " --config c.yaml --quiet";
  static inline const std::string mixture = " --base base --partition p --experts e";
  static inline TemporaryFolder* folder = nullptr;
};

TEST_F(SharedStages, CostLessAndAnswerAsWholeNetworksDo) {
  const Json metrics = read_json(*folder / "local/metrics.json");
  const Tensor values = array("local/images.npy"), experts = array("local/experts.npy");
  const Tensor expert[] = {array("alone/e/0/images.npy"), array("alone/e/1/images.npy")};
  for (size_t i = 0; i < static_cast<size_t>(values.size(0)); ++i) {
    expect_same_row(row_of(values, i), row_of(expert[experts.as<uint16_t>()[i]], i));
  }
  // Width 8, 16×16 pixels: the stem 3·9·8 products a place, layer1 4·8·8·9; layer2 at a quarter of
  // the places 8·16·9 + 3·16·16·9 and 8·16 for its shortcut.
  const double kept = 2 * (256 * (216 + 2304.0) + 64 * (1152 + 6912 + 128.0));
  const Json alone = read_json(*folder / "alone/base/metrics.json");
  const double whole = alone["flops_per_image"].get<double>(), head = 2.0 * 64 * 6;
  EXPECT_EQ(metrics["flops_per_image"].get<double>(), 2 * whole - head - kept);
}

TEST_F(SharedStages, AnswersOfSeveralAndTheBaseAreMixedAsBefore) {
  evaluate("base-alone", "--base-share 1");
  EXPECT_EQ(read_file(*folder / "base-alone/images.npy"),
            read_file(*folder / "alone/base/images.npy"));
  const Json both = evaluate("both", "--top-experts 2 --temperature 1");
  EXPECT_EQ(both["tags"]["images"], read_json(*folder / "local/metrics.json")["tags"]["images"]);
}

TEST_F(SharedStages, EmbeddingsAreThoseOfTheExperts) {
  const Json results = parse_json(sh("moe-embed data --split val --out unified" + mixture + config),
                                  "moe-embed's results");
  const Tensor rows = array("unified/val.npy"), experts = array("local/experts.npy");
  const Tensor expert[] = {array("features/e/0/val.npy"), array("features/e/1/val.npy")};
  for (size_t i = 0; i < static_cast<size_t>(rows.size(0)); ++i) {
    expect_same_row(row_of(rows, i), row_of(expert[experts.as<uint16_t>()[i]], i));
  }
  const Json metrics = read_json(*folder / "local/metrics.json");
  EXPECT_EQ(results["training_flops"].get<double>() / static_cast<double>(rows.size(0)),
            metrics["flops_per_image"].get<double>() - 2.0 * 64 * 6);
}

TEST_F(SharedStages, ARouterBeginsWithThem) {
  const std::string train =
      "moe-train-router data --base base --partition p --set "
      "router.batch=32 --epochs 4 --lr 0.05 --set router.augment.crop=center";
  const Json results = parse_json(sh(train + " --prefix 2 --width 4 --out r" + config), "results");
  EXPECT_GT(results.at("agreement").get<double>(), 0.6);
  const auto weights = load_safetensors(*folder / "r/model.safetensors"),
             base = load_safetensors(*folder / "base/model.safetensors");
  for (const char* name : {"conv1.weight", "layer2.1.bn2.running_var"}) {
    expect_same_row(weights.at(name).as<float>(), base.at(name).as<float>());
  }
  EXPECT_EQ(weights.at("layer3.0.conv1.weight").shape(), (Shape{16, 16, 3, 3}));
  const Json routed = evaluate("routed", "--router r");
  EXPECT_EQ(routed["routed_by"], "router");
  const Tensor values = array("routed/images.npy"), experts = array("routed/experts.npy");
  const Tensor expert[] = {array("alone/e/0/images.npy"), array("alone/e/1/images.npy")};
  for (size_t i = 0; i < static_cast<size_t>(values.size(0)); ++i) {
    expect_same_row(row_of(values, i), row_of(expert[experts.as<uint16_t>()[i]], i));
  }
  // The router's tail takes the place of the base's.
  const double all = results["flops_per_image"].get<double>();
  const double whole =
      read_json(*folder / "alone/base/metrics.json")["flops_per_image"].get<double>();
  const double kept = 2 * (256 * (216 + 2304.0) + 64 * (1152 + 6912 + 128.0));
  EXPECT_EQ(routed["flops_per_image"].get<double>(), all - kept + whole);
  sh("moe-embed data --split val --router r --out by-router" + mixture + config);
  sh("moe-eval data --top-experts 2 --temperature 1 --router r" + mixture + config);

  const auto refused = [](const std::string& line, const std::vector<std::string>& words) {
    const Outcome outcome = run(folder->path(), line);
    EXPECT_EQ(outcome.status, 2) << line << outcome.err;
    for (const auto& word : words) {
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << ": " << outcome.err;
    }
  };
  refused(train + " --prefix 4 --out x" + config, {"router.prefix", "0 to 3"});
  refused(train + " --prefix 1 --image-size 8 --out x" + config, {"router.image_size"});
  sh("cp -r r other && sed -i 's/\"base\": \"...../\"base\": \"00000/' other/stage.json");
  refused("moe-eval data --router other" + mixture + config, {"another base than base"});
}

}  // namespace
}  // namespace hardmoe
