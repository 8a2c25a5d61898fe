// Answers made from several networks, and evaluations beside one another, by the commands.
#include <cmath>

#include "pipeline/commands.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

/// A run whose experts keep the base's head, made once and too short to know all, over a dataset whose split `selection` is
/// the split `val` again; `plain` is the same without.
class Answers : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    write_pictures(folder->path(), 320);
    std::ofstream(*folder / "c.yaml") << small_config << R"(
run: {dataset: data}
)";
    sh("moe-ingest images.jsonl --out plain --val-fraction 0.25");
    sh("cp -r plain data && rm data/stage.json && cp -r data/val data/selection");
    Json record = read_json(*folder / "data/dataset.json");
    record["splits"]["selection"] = record["splits"]["val"];
    write_json(*folder / "data/dataset.json", record);
    sh("moe-run c.yaml --out run --set base.epochs=2 --set 'expert.freeze=[fc.*]'");
    images = record["splits"]["val"]["images"];
  }
  static void TearDownTestSuite() { delete folder; }

  static std::string sh(const std::string& line) { return output_of(folder->path(), line); }
  /// Runs moe-eval of a mixture into the folder `out`, and returns its metrics.
  static Json evaluate(const std::string& out, const std::string& more,
                       const std::string& dataset = "data") {
    sh("moe-eval " + dataset + mixture + " --out " + out + " " + more);
    return read_json(*folder / out / "metrics.json");
  }
  static Json metrics(const std::string& out) { return read_json(*folder / out / "metrics.json"); }
  /// Expects a command to be refused as wrong usage with these words.
  static void refused(const std::string& line, const std::vector<std::string>& words) {
    const Outcome outcome = run(folder->path(), line);
    EXPECT_EQ(outcome.status, 2) << line << "\n" << outcome.err;
    for (const auto& word : words) {
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << " in " << outcome.err;
    }
  }
  /// The share of the images' values that are the same in both evaluations.
  static double same(const std::string& a, const std::string& b) {
    const Tensor x = load_npy(*folder / a / "images.npy"), y = load_npy(*folder / b / "images.npy");
    if (x.shape() != y.shape()) return 0;
    double equal = 0;
    for (size_t i = 0; i < x.as<float>().size(); ++i) {
      const float p = x.as<float>()[i], q = y.as<float>()[i];
      equal += p == q || (std::isnan(p) && std::isnan(q)) ? 1 : 0;
    }
    return equal / static_cast<double>(x.elements());
  }
  /// The metrics against a kind of label, without those of each expert.
  static Json in_all(Json metrics, const char* kind) {
    metrics[kind].erase("experts");
    return metrics[kind];
  }

  static constexpr const char* mixture =
      " --config c.yaml --base run/base --partition run/partition --experts run/experts";
  static TemporaryFolder* folder;
  static int64_t images;  ///< of the split val
};

TemporaryFolder* Answers::folder = nullptr;
int64_t Answers::images = 0;

TEST_F(Answers, ColumnsOfImagesHaveTheMetricsAsMeans) {
  for (const char* evaluation : {"run/eval/base", "run/eval/local"}) {
    const Json json = metrics(evaluation);
    const auto columns = json["images"]["columns"].get<std::vector<std::string>>();
    const Tensor values = load_npy(*folder / evaluation / "images.npy");
    ASSERT_EQ(values.shape(), (Shape{images, 20}));
    for (size_t c = 0; c < columns.size(); ++c) {
      double sum = 0;
      for (size_t i = 0; i < static_cast<size_t>(images); ++i)
        sum += double{values.as<float>()[i * 20 + c]};
      const auto words = split(columns[c], ' ');
      EXPECT_NEAR(sum / static_cast<double>(images), json[words[0]][words[1]].get<double>(), 1e-6)
          << columns[c];
    }
  }
  EXPECT_FALSE(fs::exists(*folder / "run/eval/base/experts.npy"));
  const Tensor experts = load_npy(*folder / "run/eval/local/experts.npy");
  const auto routed = experts.as<uint16_t>();
  EXPECT_EQ(std::ranges::count(routed, 1),
            metrics("run/eval/local")["tags"]["experts"][1]["images"]);
}

TEST_F(Answers, ADecoderThatKeepsTheBasesHeadIsTheFrozenLocalOnesBitForBit) {
  sh("moe-train-decoder data --out kept --epochs 0" + std::string(mixture));
  const Json shared = evaluate("eval-kept", "--decoder kept");
  EXPECT_EQ(same("eval-kept", "run/eval/local"), 1);
  for (const char* kind : {"tags", "truth"}) {
    EXPECT_EQ(shared[kind], metrics("run/eval/local")[kind]);
  }
  EXPECT_LT(same("run/eval/shared", "run/eval/local"), 1) << "a trained one scores otherwise";
}

TEST_F(Answers, AShareOfOneIsTheBaseAndCostsItsHead) {
  const Json all = evaluate("share-1", "--base-share 1");
  EXPECT_EQ(same("share-1", "run/eval/base"), 1);
  EXPECT_EQ(in_all(all, "tags"), in_all(metrics("run/eval/base"), "tags"));
  const Json local = metrics("run/eval/local");
  const double head = 2.0 * 64 * 6;  // width 8: D = 64; 6 tags
  EXPECT_EQ(all["flops_per_image"].get<double>(), local["flops_per_image"].get<double>() + head);
  EXPECT_EQ(all["parameters"].get<int64_t>(), local["parameters"].get<int64_t>() + 64 * 6 + 6);
  EXPECT_EQ(all["base_share"], 1.0);
  EXPECT_EQ(all["mix"], "geometric");
  const Json half = evaluate("share-half",
                             "--base-share 0.5 --mix arithmetic --top-experts 2 "
                             "--temperature 1");
  EXPECT_EQ(half["tags"]["images"], images);
  EXPECT_GT(half["truth"]["P@1"], 0.6);
  EXPECT_LT(same("share-half", "run/eval/base"), 1);
  EXPECT_FALSE(local.contains("base_share"));
}

TEST_F(Answers, SeveralModelsAnswerAsOne) {
  const std::string eval = "moe-eval data --config c.yaml --model run/base";
  sh(eval + " --model run/base --out twice");
  EXPECT_EQ(same("twice", "run/eval/base"), 1) << "halves of the same add up to it";
  sh(eval + " --model run/longer --out pair --mix arithmetic");
  sh("moe-eval data --model run/longer --model run/base --out swapped --mix arithmetic");
  EXPECT_GT(same("pair", "swapped"), 0.99);
  EXPECT_LT(same("pair", "run/eval/base"), 1);
  const Json both = metrics("pair"), base = metrics("run/eval/base");
  EXPECT_EQ(both["parameters"], 2 * base["parameters"].get<int64_t>());
  EXPECT_EQ(both["flops_per_image"], 2 * base["flops_per_image"].get<double>());
  EXPECT_EQ(both["models"], 2);
  refused(eval + " --model run/base --partition run/partition", {"--partition"});
  write_pictures(*folder / "other", 64, "other-");
  sh("cd other && moe-ingest images.jsonl --out data && moe-train-base data --config ../c.yaml "
     "--epochs 2 --out base");
  refused(eval + " --model other/base", {"other/base was trained on 6 tags"});
}

// With the base's head W frozen in all experts, W(a·b + (1−a)·e) is the geometric mix of the two.
TEST_F(Answers, OneHeadOverABlendIsTheGeometricMix) {
  evaluate("mixed", "--base-share 0.375");
  for (const std::string kind : {"blend", "both"}) {
    sh("moe-train-decoder data --epochs 0 --embedding-kind " + kind + " --base-share 0.375 --out " +
       kind + mixture);
    const Json found = evaluate("eval-" + kind, "--decoder " + kind);
    EXPECT_GT(same("eval-" + kind, "mixed"), 0.99) << kind;
    EXPECT_EQ(found["embedding"], kind);
    EXPECT_EQ(load_npy(*folder / kind / "train.npy").size(1), kind == "both" ? 128 : 64);
    // What the configuration says otherwise contradicts the decoder.
    refused("moe-eval data --base-share 0.5 --decoder " + kind + mixture,
            {"mixture.base_share", "0.375"});
  }
  refused("moe-eval data --set mixture.embedding=both --decoder blend" + std::string(mixture),
          {"mixture.embedding", "blend"});
}

TEST_F(Answers, EmbedsWhatTheDecoderReads) {
  const std::string embed = "moe-embed data --split val --out ";
  sh("moe-train-decoder data --embedding-kind both --base-share 0.5 --out reads-both" +
     std::string(mixture));
  sh(embed + "embedded" + mixture + " --decoder reads-both");
  sh(embed + "configured" + mixture + " --set mixture.embedding=both");
  sh(embed + "of-experts" + mixture);
  sh(embed + "of-base --model run/base");
  const Tensor both = load_npy(*folder / "embedded/val.npy");
  const Tensor base = load_npy(*folder / "of-base/val.npy");
  const Tensor experts = load_npy(*folder / "of-experts/val.npy");
  ASSERT_EQ(both.shape(), (Shape{images, 128}));
  for (size_t i = 0; i < static_cast<size_t>(images); ++i) {
    EXPECT_TRUE(std::ranges::equal(both.as<float>().subspan(i * 128, 64),
                                   base.as<float>().subspan(i * 64, 64)));
    EXPECT_TRUE(std::ranges::equal(both.as<float>().subspan(i * 128 + 64, 64),
                                   experts.as<float>().subspan(i * 64, 64)));
  }
  EXPECT_EQ(read_file(*folder / "embedded/val.npy"), read_file(*folder / "configured/val.npy"));
}

TEST_F(Answers, AreFittedOnTheSplitSelection) {
  const std::string fit = "--base-share -1 --top-experts 2";
  refused("moe-eval plain " + fit + mixture, {"'selection'", "--selection-fraction"});
  const Json fitted = evaluate("fitted", fit);
  EXPECT_EQ(fitted["fitted_on"], "selection");
  EXPECT_EQ(fitted["tags"]["images"], images) << "none is left out";
  EXPECT_GT(fitted["temperature"], 0);
  const double share = fitted["base_share"];
  EXPECT_GE(share, 0);
  EXPECT_LE(share, 1);
  // Again with what was fitted.
  const Json given =
      evaluate("given", fmt::format("--top-experts 2 --base-share {} --temperature {}", share,
                                    fitted["temperature"].get<double>()));
  EXPECT_EQ(given["tags"], fitted["tags"]);
  EXPECT_EQ(metrics("run/eval/local")["tags"]["images"], images);
  EXPECT_EQ(evaluate("tenth", "--top-experts 2", "plain")["tags"]["images"], images - images / 10)
      << "as ever without";
  refused("moe-eval data --split selection " + fit + mixture, {"'selection'", "is evaluated"});
}

TEST_F(Answers, ADecoderMayBeTrainedOnImagesThatNoExpertSaw) {
  sh("moe-train-decoder data --set decoder.split=selection --embedding-kind blend --base-share -1 "
     "--out "
     "outside" +
     std::string(mixture));
  EXPECT_EQ(load_npy(*folder / "outside/selection.npy").shape(), (Shape{images, 64}));
  EXPECT_FALSE(fs::exists(*folder / "outside/train.npy"));
  const Json found = evaluate("eval-outside", "--decoder outside");
  EXPECT_GT(found["truth"]["P@1"], 0.6);
  EXPECT_GE(found["base_share"], 0.0);
  refused("moe-train-decoder data --set decoder.split=val --out no" + std::string(mixture),
          {"decoder.split", "found val"});
  EXPECT_FALSE(fs::exists(*folder / "no"));
}

TEST_F(Answers, ADecoderIsJudgedOnHeldOutImagesWhereThatIsAsked) {
  sh("moe-train-decoder data --val-every 1 --out judged" + std::string(mixture));
  sh("moe-train-decoder data --out unjudged" + std::string(mixture));
  EXPECT_EQ(sha256_of_file(*folder / "judged/decoder.safetensors"),
            sha256_of_file(*folder / "unjudged/decoder.safetensors"))
      << "looking changes nothing";
  double best = 1e9, last = 0;
  int64_t epochs = 0;
  for (const auto& text : split(trim(read_file(*folder / "judged/log.jsonl")), '\n')) {
    const Json line = Json::parse(text);
    if (!line.contains("selection_loss")) continue;
    ++epochs;
    last = line["selection_loss"];
    best = std::min(best, last);
    EXPECT_GT(line["selection/LRAP"], 0);
  }
  ASSERT_GT(epochs, 0);
  const Json results = read_json(*folder / "judged/stage.json").at("results");
  EXPECT_EQ(results.at("selection_loss"), best);
  EXPECT_EQ(fs::exists(*folder / "judged/best.safetensors"), best < last);
  EXPECT_FALSE(read_json(*folder / "unjudged/stage.json").at("results").contains("best_step"));
  // With patience it ends early, with the best weights as its result.
  sh("moe-train-decoder data --epochs 300 --set decoder.patience=1 --out early" +
     std::string(mixture));
  const Json early = read_json(*folder / "early/stage.json").at("results");
  EXPECT_LT(early.at("steps"), 300 / epochs * results.at("steps").get<int64_t>());
  EXPECT_LT(early.at("best_step"), early.at("steps"));
  EXPECT_TRUE(fs::exists(*folder / "early/last.safetensors"));
  refused("moe-train-decoder data --set decoder.split=selection --val-every 1 --out no" +
              std::string(mixture),
          {"decoder.val_every", "would judge it", "decoder.split"});
  EXPECT_FALSE(fs::exists(*folder / "no"));
}

TEST_F(Answers, CompareImageByImage) {
  const Json json = Json::parse(
      sh("moe-compare base=run/eval/base run/eval/local --column 'truth P@1' --resamples 500 "
         "--json"));
  ASSERT_EQ(json["truth P@1"].size(), 2U);
  EXPECT_EQ(json["truth P@1"][0]["name"], "base");
  const double base = metrics("run/eval/base")["truth"]["P@1"];
  const double local = metrics("run/eval/local")["truth"]["P@1"];
  EXPECT_NEAR(json["truth P@1"][0]["mean"].get<double>(), base, 1e-6);
  const Json& difference = json["truth P@1"][1]["difference"];
  EXPECT_NEAR(difference["mean"].get<double>(), local - base, 1e-6);
  EXPECT_TRUE(difference["standard_error"].is_null());
  EXPECT_LE(difference["low"], difference["mean"]);
  const std::string table =
      sh("moe-compare a=run/eval/base,run/eval/longer b=run/eval/local,run/eval/shared "
         "--resamples 100");
  EXPECT_TRUE(table.starts_with("tags P@1")) << table;
  EXPECT_NE(table.find("truth R@10"), std::string::npos) << table;
  refused("moe-compare run/eval/base run/eval/local,run/eval/shared", {"1 evaluations", "2"});
  refused("moe-compare run/eval/base --column 'tags P@2'", {"tags P@2", "tags P@1"});
  sh("moe-eval data --split train --model run/base --out on-train");
  refused("moe-compare run/eval/base on-train", {"another split"});
}

}  // namespace
}  // namespace hardmoe
