// Networks with layers of experts from a dataset to their answers: trained, stopped and gone on with,
// evaluated, embedded, asked.
#include <algorithm>

#include "pipeline/commands.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

class Sparse : public testing::Test {
 protected:
  void SetUp() override {
    write_pictures(folder.path(), 200);
    std::ofstream(folder / "resnet.yaml")
        << "model: {depth: 18, stem: small, width: 8, image_size: 16}\n"
        << training;
    std::ofstream(folder / "vit.yaml")
        << "model: {architecture: vit, image_size: 16,\n"
           "        vit: {width: 32, depth: 4, heads: 2, patch_size: 4}}\n"
        << training;
    sh("moe-ingest images.jsonl --val-fraction 0.2 --out data");
  }

  std::string sh(const std::string& line) const { return output_of(folder.path(), line); }

  Json log_of(const std::string& stage) const {
    Json lines = Json::array();
    for (const auto& line : split(read_file(folder / stage / "log.jsonl"), '\n')) {
      if (!line.empty()) lines.push_back(Json::parse(line));
    }
    return lines;
  }

  static constexpr const char* training =
      "sparse: {epochs: 6, batch: 32, optimizer: adamw, weight_decay: 0, lr: 0.003, log_every: 1,\n"
      "         layer: {experts: 4, chosen: 2}, augment: {crop: pad, padding: 2, jitter: 0.1}}\n";
  TemporaryFolder folder;
};

struct Case {
  const char *name, *config, *options;
};

/// Each kind, and what keeps state from batch to batch.
constexpr Case cases[] = {
    {"shazeer", "resnet.yaml", "--kind shazeer"},
    {"soft", "resnet.yaml", "--kind pavlitska --set sparse.layer.gate=conv"},
    {"hard", "resnet.yaml", "--kind pavlitska --set sparse.layer.constraint=mean"},
    {"relative", "resnet.yaml",
     "--kind pavlitska --set sparse.layer.constraint=relative --set sparse.layer.stages=[3,4]"},
    {"vmoe", "vit.yaml", "--kind vmoe --set sparse.layer.priority=both"},
};

TEST_F(Sparse, EveryKindGoesOnToTheSameBytes) {
  for (const Case& one : cases) {
    const std::string train =
        fmt::format("moe-train-sparse data --config {} {} --quiet --out ", one.config, one.options);
    const std::string whole = one.name, stopped = whole + "-stopped";
    sh(train + whole);
    int status = 0;
    for (int attempt = 0; attempt < 3 && status == 0; ++attempt) {
      fs::remove_all(folder / stopped);
      Running running(folder.path(), "exec " + train + stopped);
      const fs::path log = folder / stopped / "log.jsonl";
      EXPECT_TRUE(running.reaches([&] {  // in the middle of the second epoch of five steps
        return fs::exists(log) && log_of(stopped).size() >= 8;
      })) << one.name;
      status = running.end(SIGTERM).status;
    }
    EXPECT_EQ(status, 75) << one.name;
    const Outcome early = run(folder.path(), "moe-eval data --model " + stopped);
    EXPECT_NE(early.status, 0) << one.name;
    EXPECT_NE(early.err.find("not finished; run the same `moe-train-sparse`"), std::string::npos)
        << early.err;
    sh(train + stopped);
    EXPECT_EQ(sha256_of_file(folder / stopped / "model.safetensors"),
              sha256_of_file(folder / whole / "model.safetensors"))
        << one.name;
    EXPECT_EQ(log_of(stopped).size(), log_of(whole).size()) << one.name;
  }
}

TEST_F(Sparse, LearnsAndTellsHowExpertsAreUsed) {
  sh("moe-train-sparse data --config resnet.yaml --epochs 20 --quiet --out sparse");
  const Json metrics = Json::parse(sh("moe-eval data --model sparse --json"));
  EXPECT_GT(metrics["truth"]["P@1"], 0.8) << metrics.dump();
  int epochs = 0;
  for (const Json& line : log_of("sparse")) {
    if (!line.contains("usage/layer4")) {
      EXPECT_TRUE(line.contains("loss/tags") && line.contains("loss/importance/layer4") &&
                  line.contains("loss/load/layer4"))
          << line.dump();
      continue;
    }
    ++epochs;
    const auto shares = line["usage/layer4"].get<std::vector<double>>();
    ASSERT_EQ(shares.size(), 4U);
    EXPECT_NEAR(shares[0] + shares[1] + shares[2] + shares[3], 1, 1e-3);
    EXPECT_NEAR(line["max_over_mean/layer4"], 4 * std::ranges::max(shares), 1e-3);
  }
  EXPECT_EQ(epochs, 20);
  // The losses see to an even use; without them, and without noise, some experts get nothing.
  sh("moe-train-sparse data --config resnet.yaml --epochs 20 --quiet --out free "
     "--set sparse.layer.importance=0 --set sparse.layer.load=0 --set sparse.layer.noise=false");
  const auto last_use = [&](const std::string& model) {
    double last = 0;
    for (const Json& line : log_of(model)) last = line.value("max_over_mean/layer4", last);
    return last;
  };
  EXPECT_LT(last_use("sparse"), 1.5);
  EXPECT_GT(last_use("free"), 1.5);
  // What an evaluation tells is of its own images, without noise.
  const Json use = metrics["layers"];
  ASSERT_EQ(use.size(), 1U);
  EXPECT_EQ(use[0]["layer"], "layer4");
  const auto gates = use[0]["gates"].get<std::vector<double>>();
  EXPECT_NEAR(gates[0] + gates[1] + gates[2] + gates[3], 1, 1e-6);
  EXPECT_NEAR(use[0]["max_over_mean"], 4 * std::ranges::max(gates), 1e-6);
  EXPECT_NE(sh("moe-eval data --model sparse").find("layer4: the busiest of 4 experts has "),
            std::string::npos);
}

TEST_F(Sparse, TellsWhatACapacityDrops) {
  const auto dropped = [&](const std::string& capacity) {
    sh(
        fmt::format("moe-train-sparse data --config vit.yaml --kind vmoe --quiet --out c{0} "
                    "--set sparse.layer.capacity={0}",
                    capacity));
    double last = -1;
    for (const Json& line : log_of("c" + capacity)) last = line.value("dropped/blocks.3.mlp", last);
    return last;
  };
  EXPECT_NEAR(dropped("4"), 0, 1e-5);  // an expert of four has room for all
  EXPECT_GE(dropped("0.5"), 0.499);    // there is room for half of the choices
  EXPECT_LT(dropped("0.5"), 1);
}

TEST_F(Sparse, AnswersDoNotDependOnOtherImagesAndChangeWithWhatIsAsked) {
  sh("moe-train-sparse data --config vit.yaml --kind vmoe --quiet --out vmoe");
  sh("moe-train-sparse data --config resnet.yaml --quiet --out shazeer");
  for (const std::string model : {"vmoe", "shazeer"}) {
    const auto rows = [&](const std::string& images, const std::string& options) {
      sh(fmt::format("moe-predict {} {} --embedding rows.npy {}", model, images, options));
      return load_npy(folder / "rows.npy");
    };
    const Tensor alone = rows("pictures/0003.png", ""), among = rows("pictures", "");
    const auto width = static_cast<size_t>(alone.size(1));
    const auto of_all = among.as<float>().subspan(3 * width, width);
    for (size_t i = 0; i < width; ++i) EXPECT_NEAR(alone.as<float>()[i], of_all[i], 1e-5) << model;
    const Tensor more = rows("pictures/0003.png", "--chosen 4");
    EXPECT_FALSE(std::ranges::equal(more.as<float>(), alone.as<float>())) << model;
    // The cost follows the number of experts, and results of one number are not taken for another's.
    const auto cost = [&](const std::string& options) {
      const Json found =
          Json::parse(sh(fmt::format("moe-eval data --model {} --json {}", model, options)));
      return found["flops_per_image"].get<double>();
    };
    EXPECT_LT(cost("--chosen 1"), cost(""));
    EXPECT_LT(cost(""), cost("--chosen 3"));
    sh(fmt::format("moe-eval data --model {0} --quiet --out {0}-eval", model));
    const Outcome other = run(
        folder.path(), fmt::format("moe-eval data --model {0} --chosen 1 --out {0}-eval", model));
    EXPECT_EQ(other.status, 2) << other.err;
    sh(fmt::format("moe-embed data --model {0} --split val --chosen 1 --quiet --out {0}-embedding",
                   model));
    EXPECT_EQ(load_npy(folder / (model + "-embedding/val.npy")).size(1), alone.size(1));
  }
  const Tensor full = load_npy(folder / "vmoe-embedding/val.npy");
  sh("moe-embed data --model vmoe --split val --capacity 0.2 --quiet --out first");
  sh("moe-embed data --model vmoe --split val --capacity 0.2 --priority --quiet --out greatest");
  sh("moe-embed data --model vmoe --split val --capacity 0.2 --no-priority --quiet --out again");
  const auto embedded = [&](const char* name) { return load_npy(folder / name / "val.npy"); };
  const Tensor first = embedded("first"), greatest = embedded("greatest"),
               again = embedded("again");
  EXPECT_FALSE(std::ranges::equal(first.as<float>(), greatest.as<float>()));
  EXPECT_TRUE(std::ranges::equal(first.as<float>(), again.as<float>()));
  sh("moe-embed data --model vmoe --split val --chosen 1 --capacity 0.2 --quiet --out dropped");
  EXPECT_FALSE(
      std::ranges::equal(load_npy(folder / "dropped/val.npy").as<float>(), full.as<float>()));
}

TEST_F(Sparse, AReportShowsWhatExpertsHaveBecome) {
  sh("moe-train-sparse data --config resnet.yaml --epochs 20 --quiet --out shazeer");
  sh("moe-train-sparse data --config vit.yaml --kind vmoe --epochs 2 --quiet --out vmoe");
  sh("moe-report shazeer vmoe --dataset data --out page.html");
  const std::string page = read_file(folder / "page.html");
  for (const char* part : {"Model shazeer", "Model vmoe", "Bits of the tag", "layer4", "blocks.1",
                           "blocks.3", "By chance", "P@1"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
  EXPECT_NE(sh("moe-report shazeer --out alone.html").find("alone.html"), std::string::npos);
  const Outcome other = run(folder.path(), "moe-report shazeer --dataset shazeer --out x.html");
  EXPECT_EQ(other.status, 2) << other.err;
}

TEST_F(Sparse, SaysWhatItCannotDo) {
  sh("moe-train-sparse data --config resnet.yaml --epochs 1 --quiet --out sparse");
  sh("moe-train-base data --config resnet.yaml --epochs 1 --quiet --out base");
  const auto refused = [&](const std::string& line, const std::vector<std::string>& words) {
    const Outcome outcome = run(folder.path(), line);
    EXPECT_EQ(outcome.status, 2) << line << "\n" << outcome.err;
    for (const auto& word : words) {
      EXPECT_NE(outcome.err.find(word), std::string::npos) << line << "\n" << outcome.err;
    }
  };
  const std::string train = "moe-train-sparse data --out x --config ";
  refused(train + "resnet.yaml --kind none", {"sparse.layer.kind", "moe-train-base"});
  refused(train + "resnet.yaml --kind vmoe", {"sparse.layer.kind", "model.architecture to vit"});
  refused(train + "vit.yaml", {"sparse.layer.kind", "vmoe"});
  refused(train + "resnet.yaml --chosen 9", {"sparse.layer.chosen", "1 to 4", "9"});
  refused(train + "vit.yaml --kind vmoe --set model.vit.patch_size=5",
          {"model.vit.patch_size", "5 pixels do not divide"});
  refused(train + "vit.yaml --kind vmoe --set sparse.layer.capacity=0",
          {"sparse.layer.capacity", "found 0"});
  // What is refused leaves nothing behind, so that the corrected command is taken.
  refused(train + "vit.yaml --kind vmoe --set sparse.layer.capacity=1e9",
          {"sparse.layer.capacity"});
  refused(train + "vit.yaml --kind vmoe --set model.vit.positions=sincos --set model.vit.width=50",
          {"model.vit.width", "50"});
  EXPECT_FALSE(fs::exists(folder / "x"));
  refused("moe-train-sparse data --config resnet.yaml --init base --out x",
          {"these are not the weights of a"});
  const Outcome lone = run(
      folder.path(), "moe-train-sparse data --config resnet.yaml --epochs 1 --chosen 1 --out lone");
  EXPECT_EQ(lone.status, 0) << lone.err;
  EXPECT_NE(lone.err.find("warning: sparse.layer.chosen"), std::string::npos) << lone.err;
  const Outcome unused = run(folder.path(),
                             "moe-train-sparse data --config resnet.yaml --epochs 2 --out late "
                             "--set sparse.layer.limit=0.2 --set sparse.layer.capacity=2 --set "
                             "sparse.schedule=step --set sparse.step_epochs=[1,2]");
  EXPECT_EQ(unused.status, 0) << unused.err;
  for (const char* part :
       {"no such thing: limit, capacity", "sparse.step_epochs: 2 is not before"}) {
    EXPECT_NE(unused.err.find(part), std::string::npos) << unused.err;
  }
  // They do not count as settings either.
  sh("moe-train-sparse data --config resnet.yaml --epochs 2 --out late --quiet "
     "--set sparse.layer.limit=0.3 --set sparse.schedule=step --set sparse.step_epochs=[1,2]");
  refused("moe-train-sparse data --config resnet.yaml --experts 3 --out x", {"--layer-experts"});
  refused("moe-train-base data --config resnet.yaml --init sparse --out x",
          {"sparse", "has layers of experts", "ResNet-18 of width 8"});
  refused("moe-report base --out x.html", {"base", "was written by moe-train-base"});
  refused("moe-eval data --model sparse --priority", {"sparse", "--priority", "vmoe"});
  refused("moe-eval data --model base --chosen 2", {"base", "--chosen", "moe-train-sparse"});
  refused("moe-eval data --model sparse --chosen 5", {"--chosen", "1 to 4"});
  refused("moe-eval data --model sparse --capacity 2", {"--capacity", "vmoe"});
  sh("moe-embed data --model sparse --quiet --out embedding");
  sh("moe-partition embedding --num-experts 2 --quiet --out partition");
  refused("moe-train-expert data --base sparse --partition partition --expert 0 --out y",
          {"sparse", "layers of experts", "moe-train-base"});
}

TEST_F(Sparse, AVisionTransformerIsAModelLikeAnyOther) {
  std::ofstream(folder / "dense.yaml")
      << "model: {architecture: vit, image_size: 16,\n"
         "        vit: {width: 32, depth: 2, heads: 2, patch_size: 4}}\n"
         "base: {epochs: 12, batch: 32, optimizer: adamw, lr: 0.002, augment: {crop: center}}\n"
         "partition: {experts: 2, pca: 8}\n"
         "expert: {epochs: 1, batch: 32, optimizer: adamw, lr: 0.001, augment: {crop: center}}\n"
         "decoder: {epochs: 1, batch: 32}\n"
         "run: {dataset: data, controls: none}\n";
  sh("moe-run dense.yaml --out run --quiet");
  const Json metrics = Json::parse(sh("moe-eval data --model run/base --json"));
  EXPECT_GT(metrics["truth"]["P@1"], 0.5) << metrics.dump();
  EXPECT_NE(sh("moe-predict run pictures/0000.png --json").find("expert"), std::string::npos);
  const Outcome wider =
      run(folder.path(), "moe-run dense.yaml --set run.controls=[wider] --out wider --quiet");
  EXPECT_EQ(wider.status, 2);
  EXPECT_NE(wider.err.find("run.controls: wider"), std::string::npos) << wider.err;
}

}  // namespace
}  // namespace hardmoe
