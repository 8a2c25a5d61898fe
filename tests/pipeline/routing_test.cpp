// Who answers for an image: a router in the base's place, experts that go on from others, and
// experts trained jointly with their decoder, as commands.
#include "pipeline/commands.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"

namespace hardmoe {
namespace {

class Routing : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    write_pictures(folder->path(), 480);
    std::ofstream(*folder / "c.yaml") << small_config
                                      << "router: {epochs: 6, batch: 32, lr: 0.05, "
                                         "image_size: 16, augment: {crop: pad, padding: 2}}\n"
                                         "finetune: {epochs: 1, batch: 16, turn_steps: 4}\n";
    sh("moe-ingest images.jsonl --out data --val-fraction 0.2 --quiet && "
       "moe-train-base data --out base" +
       config + " && moe-embed data --model base --out embedding" + config +
       " && moe-partition embedding --out p" + config +
       " && for k in 0 1; do moe-train-expert data --base base --partition p --expert $k --out "
       "e/$k" +
       config + "; done && moe-train-decoder data" + mixture + " --out d" + config);
  }
  static void TearDownTestSuite() { delete folder; }

  static std::string sh(const std::string& line) { return output_of(folder->path(), line); }
  static void expect_refused(const std::string& line, const std::vector<std::string>& words) {
    const Outcome outcome = run(folder->path(), line);
    EXPECT_EQ(outcome.status, 2) << line << outcome.err;
    for (const auto& word : words) {
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << ": " << outcome.err;
    }
  }
  static Json json_of(const std::string& line) { return parse_json(sh(line), line); }

  static inline const std::string config = " --config c.yaml --quiet";
  static inline const std::string mixture = " --base base --partition p --experts e";
  static inline TemporaryFolder* folder = nullptr;
};

TEST_F(Routing, ARouterTakesTheBasesPlace) {
  const std::string train = "moe-train-router data --base base --partition p --out r" + config;
  const Json results = json_of(train);
  EXPECT_EQ(results.at("split"), "val");
  EXPECT_GT(results.at("agreement").get<double>(), 0.75);
  EXPECT_NEAR(results.at("share_of_base").get<double>(), 1, 0.01);  // as large as it is
  EXPECT_EQ(json_of(train + " 2>/dev/null"), results);              // done already
  const Json plain = json_of("moe-eval data --json" + mixture + config);
  const Json routed = json_of("moe-eval data --json --router r" + mixture + config);
  EXPECT_EQ(routed.at("routed_by"), "router");
  EXPECT_FALSE(plain.contains("routed_by"));
  EXPECT_GT(routed.at("tags").at("P@1").get<double>(),
            plain.at("tags").at("P@1").get<double>() - 0.1);
  EXPECT_EQ(routed.at("tags").at("images"), plain.at("tags").at("images"));
  const double router = results.at("flops_per_image").get<double>();
  EXPECT_NEAR(routed.at("flops_per_image").get<double>() - router,
              plain.at("flops_per_image").get<double>() - router, 0.01 * router);
  sh("moe-embed data --split val --router r --out u" + mixture + config);
  EXPECT_EQ(load_npy(*folder / "u/val.npy").shape(),
            (Shape{plain.at("tags").at("images").get<int64_t>(), 64}));
  sh("moe-eval data --top-experts 2 --temperature 1 --router r" + mixture + config);

  sh("moe-partition embedding --seed 2 --out other" + config);
  expect_refused("moe-eval data --base base --partition other --experts e --router r", {});
  expect_refused("moe-eval data --router e/0" + mixture, {"moe-train-expert", "moe-train-router"});
  expect_refused("moe-eval data --use-prices false --router r" + mixture, {"eval.use_prices"});
  expect_refused("moe-eval data --router r --features x.npy" + mixture, {"--features"});
  expect_refused(train + " --set router.sampling=uniform", {"router.sampling"});
  sh("moe-partition embedding --method random --out chance" + config);
  expect_refused("moe-train-router data --base base --partition chance --out x" + config,
                 {"at random", "nothing"});
  EXPECT_FALSE(fs::exists(*folder / "x"));
}

TEST_F(Routing, ExpertsGoOnFromThoseOfAnEarlierPartition) {
  const std::string train = "moe-train-expert data --base base --partition p --expert 1" + config;
  sh(train + " --init-experts e --lr 1e-9 --epochs 1 --set expert.weight_decay=0 --out on");
  const auto weights = [&](const char* name) {
    return load_safetensors(*folder / name / "model.safetensors").at("fc.weight");
  };
  const Tensor before = weights("e/1"), after = weights("on"), base = weights("base");
  double moved = 0, far = 0;
  for (size_t i = 0; i < static_cast<size_t>(before.elements()); ++i) {
    const double start = before.as<float>()[i];
    moved = std::max(moved, std::abs(start - double{after.as<float>()[i]}));
    far = std::max(far, std::abs(start - double{base.as<float>()[i]}));
  }
  EXPECT_LT(moved, 1e-5);
  EXPECT_GT(far, 1e-3);
  expect_refused(train + " --init-experts e --start scratch --out x",
                 {"--init-experts e", "--start scratch"});
  expect_refused(train + " --init-experts e/1 --out x", {"e/1", "the folder of one model"});
  expect_refused("moe-train-expert data --base base --expert all --init-experts e --out x" + config,
                 {"--init-experts e", "leave it out"});
  EXPECT_FALSE(fs::exists(*folder / "x"));
}

TEST_F(Routing, ExpertsAndDecoderAreTrainedJointly) {
  const std::string line = "moe-finetune data --decoder d --out joint" + mixture + config;
  const Json results = json_of(line);
  EXPECT_NEAR(results.at("images").get<double>(), 384, 4);  // a share by key is not exact
  EXPECT_EQ(results.at("steps"), 24);  // 12 batches of 16 in a part, of 192 images, in 3 rounds
  EXPECT_EQ(json_of(line + " 2>/dev/null"), results);
  const auto head = [&](const char* file) {
    return load_safetensors(*folder / file).at("fc.weight");
  };
  const Tensor shared = head("joint/decoder/decoder.safetensors");
  for (const char* expert :
       {"joint/experts/0/model.safetensors", "joint/experts/1/model.safetensors"}) {
    const Tensor own = head(expert);
    EXPECT_TRUE(
        std::equal(own.as<float>().begin(), own.as<float>().end(), shared.as<float>().begin()));
  }
  const std::string joint =
      "moe-eval data --json --base base --partition p --experts "
      "joint/experts" +
      config;
  EXPECT_EQ(json_of(joint).at("tags"), json_of(joint + " --decoder joint/decoder").at("tags"));
  EXPECT_GT(json_of(joint).at("tags").at("P@1").get<double>(), 0.5);
  expect_refused("moe-eval data --decoder joint/decoder" + mixture + config,
                 {"another training of experts 0, 1"});
  sh("moe-finetune data --decoder d --out joint --force --epochs 0.1" + mixture + config);
  expect_refused("moe-finetune data --decoder d --out x --set finetune.ema=0.9" + mixture + config,
                 {"finetune.ema"});
  EXPECT_FALSE(fs::exists(*folder / "x"));
}

TEST_F(Routing, ImagesGoToTheExpertThatDoesBest) {
  sh("moe-ingest images.jsonl --out kept --val-fraction 0.2 --selection-fraction 0.4 --quiet && "
     "moe-train-base kept --out kept-base" +
     config + " && moe-embed kept --model kept-base --out kept-embedding" + config +
     " && moe-partition kept-embedding --out first" + config);
  const auto experts = [&](const std::string& partition, const std::string& out,
                           const std::string& options) {
    sh("for k in 0 1; do moe-train-expert kept --base kept-base --partition " + partition +
       " --expert $k --out " + out + "/$k" + options + config + "; done");
  };
  experts("first", "one", "");
  const std::string again =
      "moe-partition kept kept-embedding --base kept-base --reroute first --experts one --out "
      "second" +
      config;
  const std::string text = sh(again);
  EXPECT_NE(text.find("held-out images, loss of the expert they go to"), std::string::npos) << text;
  EXPECT_EQ(sh(again + " 2>/dev/null"), text);
  const Json told = read_json(*folder / "second/partition.json").at("reroute");
  EXPECT_LE(told.at("loss_after"), told.at("loss_before"));
  EXPECT_EQ(load_npy(*folder / "second/losses.npy").shape(),
            (Shape{told.at("images").get<int64_t>(), 2}));
  experts("second", "two", " --init-experts one");
  sh("moe-eval kept --base kept-base --partition second --experts two" + config);
  sh("moe-partition kept kept-embedding --base kept-base --reroute second --experts two --out "
     "third" +
     config);
}

TEST_F(Routing, ReroutingNeedsHeldOutImages) {
  expect_refused(
      "moe-partition data embedding --reroute p --out x --base base --experts e" + config,
      {"'selection'", "moe-ingest --selection-fraction"});
  expect_refused("moe-partition data embedding --reroute p --out x" + config,
                 {"--reroute", "--base DIR --experts DIR"});
  expect_refused("moe-partition embedding --reroute p --base base --experts e --out x",
                 {"--reroute", "DATASET EMBEDDING"});
  expect_refused("moe-partition embedding --base base --out x", {"--base", "--reroute"});
  expect_refused("moe-partition embedding --reroute p --add-expert p --out x",
                 {"give one of them"});
  expect_refused("moe-partition data embedding --reroute p --num-experts 3 --out x",
                 {"--num-experts", "re-routed"});
  EXPECT_FALSE(fs::exists(*folder / "x"));
}

}  // namespace
}  // namespace hardmoe
