// moe-predict, moe-search and moe-pack by the commands: predictions are what moe-eval measures and
// moe-embed writes, what is found is nearest there, and a packed mixture says the same wherever it
// lies.
#include <cmath>

#include "pipeline/commands.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

/// A run of pictures, whose split `val` is listed in list.txt in its order.
class Predict : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    write_pictures(folder->path(), 240);
    std::ofstream(*folder / "c.yaml") << small_config << R"(
run: {dataset: data, controls: [], levers: [router]}
router: {epochs: 1, batch: 32}
)";
    sh("moe-ingest images.jsonl --out data --val-fraction 0.25");
    sh("moe-run c.yaml --out run --set base.epochs=3 --set expert.epochs=1");
    std::ifstream keys(*folder / "data/val/keys.txt");
    std::ofstream list(*folder / "list.txt");
    for (std::string key; std::getline(keys, key); ++images) list << key << ".png\n";
  }
  static void TearDownTestSuite() { delete folder; }

  static std::string sh(const std::string& line) { return output_of(folder->path(), line); }
  static std::vector<Json> lines_of(const std::string& text) {
    std::vector<Json> lines;
    for (const auto& line : split(text, '\n')) {
      if (!line.empty()) lines.push_back(Json::parse(line));
    }
    return lines;
  }
  static void ends_with(int status, const std::string& line,
                        const std::vector<std::string>& words) {
    const Outcome outcome = run(folder->path(), line);
    EXPECT_EQ(outcome.status, status) << line << "\n" << outcome.err;
    for (const auto& word : words) {
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << " in " << outcome.err;
    }
  }

  /// Expects that the row's predictions for the split `val` are what its evaluation counted.
  static void expect_as_evaluated(const std::string& row) {
    const auto found = lines_of(sh("moe-predict run - --json --row " + row + " < list.txt"));
    ASSERT_EQ(std::ssize(found), images);
    const Tensor values = load_npy(*folder / "run/eval" / row / "images.npy");
    const Json columns =
        read_json(*folder / "run/eval" / row / "metrics.json")["images"]["columns"];
    const auto column = std::ranges::find(columns, "tags P@1") - columns.begin();
    const Json vocabulary = tags();
    const Tensor ptr = load_npy(*folder / "data/val/tag_ptr.npy");
    const Tensor ids = load_npy(*folder / "data/val/tag_ids.npy");
    const bool routed = fs::exists(*folder / "run/eval" / row / "experts.npy");
    const Tensor experts = routed ? load_npy(*folder / "run/eval" / row / "experts.npy") : Tensor();
    for (size_t i = 0; i < static_cast<size_t>(images); ++i) {
      const auto begin = static_cast<size_t>(ptr.as<int64_t>()[i]);
      const auto end = static_cast<size_t>(ptr.as<int64_t>()[i + 1]);
      double hit = 0;
      for (size_t t = begin; t < end; ++t) {
        hit += found[i]["tags"][0]["tag"] == vocabulary[static_cast<size_t>(ids.as<int32_t>()[t])];
      }
      const auto at = i * columns.size() + static_cast<size_t>(column);
      EXPECT_EQ(hit, static_cast<double>(values.as<float>()[at])) << row << " " << found[i].dump();
      if (routed) {
        EXPECT_EQ(found[i]["expert"], experts.as<uint16_t>()[i]) << row;
      } else {
        EXPECT_FALSE(found[i].contains("expert"));
      }
    }
  }

  static Json tags() {
    Json names = Json::array();
    const auto lines = split(read_file(*folder / "run/base/tags.tsv"), '\n');
    for (size_t i = 1; i < lines.size() && !lines[i].empty(); ++i) {
      names.push_back(split(lines[i], '\t')[1]);
    }
    return names;
  }

  /// Expects equal rows, but for the rounding of batches of other sizes.
  static void expect_near(const fs::path& a, const fs::path& b) {
    const Tensor x = load_npy(a), y = load_npy(b);
    ASSERT_EQ(x.shape(), y.shape());
    for (size_t i = 0; i < x.as<float>().size(); ++i) {
      ASSERT_NEAR(x.as<float>()[i], y.as<float>()[i], 1e-4F) << i;
    }
  }

  /// Returns the row nearest to row `query` of `asked`, by cosine distance, and that.
  static std::pair<int64_t, double> nearest_of(const Tensor& rows, const Tensor& asked,
                                               size_t query) {
    const auto width = static_cast<size_t>(rows.size(1));
    std::pair<int64_t, double> nearest = {-1, 3};
    for (int64_t row = 0; row < rows.size(0); ++row) {
      double product = 0, a = 0, b = 0;
      for (size_t d = 0; d < width; ++d) {
        const double x = double{rows.as<float>()[static_cast<size_t>(row) * width + d]};
        const double y = double{asked.as<float>()[query * width + d]};
        product += x * y;
        a += x * x;
        b += y * y;
      }
      const double distance = 1 - product / std::sqrt(a * b);
      if (distance < nearest.second) nearest = {row, distance};
    }
    return nearest;
  }

  static TemporaryFolder* folder;
  static int64_t images;
};

TemporaryFolder* Predict::folder = nullptr;
int64_t Predict::images = 0;

TEST_F(Predict, SaysWhatEvaluationMeasured) {
  for (const char* row : {"local", "shared", "base", "router"}) expect_as_evaluated(row);

  // The unified embedding, and a model's own.
  const std::string mixture = " --base run/base --partition run/partition --experts run/experts";
  sh("moe-embed data --config c.yaml --split val --out unified" + mixture);
  sh("moe-embed data --config c.yaml --split val --out own --model run/base");
  sh("moe-predict run - --embedding unified.npy < list.txt");
  sh("moe-predict run/base - --embedding own.npy < list.txt");
  expect_near(*folder / "unified.npy", *folder / "unified/val.npy");
  expect_near(*folder / "own.npy", *folder / "own/val.npy");

  // moe-search looks there: beside all distances from the rows that moe-predict wrote.
  sh("moe-predict run - --row shared --embedding shared.npy < list.txt");
  const auto nearest = lines_of(sh("moe-search run - --neighbours 1 --json < list.txt"));
  const Tensor asked = load_npy(*folder / "shared.npy");
  const Tensor rows = load_npy(*folder / "run/decoder/train.npy");
  ASSERT_EQ(std::ssize(nearest), asked.size(0));
  for (size_t i = 0; i < nearest.size(); ++i) {
    const auto [row, distance] = nearest_of(rows, asked, i);
    EXPECT_EQ(nearest[i]["neighbours"][0]["row"], row);
    EXPECT_NEAR(nearest[i]["neighbours"][0]["distance"], distance, 1e-6);
  }
  ends_with(2, "moe-search run - --row local < list.txt", {"--embedding", "moe-embed data"});
  ends_with(2, "moe-search run --row local --embedding run/decoder --tag red", {"--row shared"});

  // Several experts, at the temperature that moe-eval fitted.
  ends_with(2, "moe-predict run - --top-experts 2 < list.txt", {"--temperature"});
  sh("moe-eval data --config c.yaml --top-experts 2 --temperature 3 --out both" + mixture);
  const auto both =
      lines_of(sh("moe-predict run - --top-experts 2 --temperature 3 --json < list.txt"));
  const Tensor experts = load_npy(*folder / "both/experts.npy");
  for (size_t i = 0; i < both.size(); ++i) {
    ASSERT_EQ(both[i]["experts"].size(), 2);
    EXPECT_EQ(both[i]["expert"], experts.as<uint16_t>()[i]);
    const double a = both[i]["experts"][0]["weight"], b = both[i]["experts"][1]["weight"];
    EXPECT_NEAR(a + b, 1, 1e-5);
    const double near = both[i]["experts"][0]["distance"], far = both[i]["experts"][1]["distance"];
    EXPECT_NEAR(std::log(a / b), (far * far - near * near) / 3, 1e-3);
  }
}

TEST_F(Predict, SearchesRowsOfTheSameNetworksAlone) {
  const std::string mixture = " --base run/base --partition run/partition --experts run/experts";
  const auto embed = [&](const std::string& out, const std::string& networks) {
    sh("moe-embed data --config c.yaml --split val --out " + out + networks);
  };
  // Whether each image of the split finds itself, which images of other rows do not.
  const auto finds_itself = [&](const std::string& networks, const std::string& rows) {
    const auto found = lines_of(sh("moe-search " + networks + " - --dataset data --embedding " +
                                   rows + " --neighbours 1 --json < list.txt"));
    ASSERT_EQ(std::ssize(found), images);
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i]["neighbours"][0]["row"], i) << networks;
      EXPECT_LT(found[i]["neighbours"][0]["distance"], 1e-6) << networks;
    }
  };
  const auto differs = [&](const std::string& networks, const std::string& rows,
                           const std::string& what) {
    ends_with(2, "moe-search " + networks + " - --dataset data --embedding " + rows + " < list.txt",
              {rows, "other networks", what + " differs", "moe-embed data"});
  };

  // What routes the images.
  const std::string router = " --router run/levers/router";
  embed("gated", mixture);
  embed("routed", mixture + router);
  embed("priceless", mixture + " --set eval.use_prices=false");
  finds_itself("run --row local", "gated");
  finds_itself("run --row router", "routed");
  differs("run --row router", "gated", "router");
  differs("run --row local", "routed", "router");
  differs("run --row local", "priceless", "eval.use_prices");

  // The base's share in what a decoder reads.
  for (const std::string share : {"0.3", "0.7"}) {
    const std::string made = "blend" + share;
    sh("mkdir " + made + " && cd " + made +
       " && ln -s ../run/base ../run/partition ../run/experts .");
    sh("moe-train-decoder data --config c.yaml --set decoder.epochs=0 --base-share " + share +
       " --set mixture.embedding=blend --out " + made + "/decoder" + mixture);
    embed("rows" + share, mixture + " --decoder " + made + "/decoder");
  }
  finds_itself("blend0.3", "rows0.3");
  differs("blend0.7", "rows0.3", "mixture.base_share");
  differs("blend0.3", "blend0.7/decoder", "mixture.base_share");
  differs("blend0.3", "gated", "mixture.embedding");
  differs("run", "rows0.3", "mixture.embedding");

  // A seed's folder has the run's dataset and rows of its own; a pack has neither.
  sh("mkdir -p seeds/seed-5 && cp run/config.yaml seeds && cd seeds/seed-5 && "
     "ln -s ../../run/* . && rm config.yaml");
  const std::string of_run = sh("moe-search run - --json < list.txt");
  EXPECT_EQ(sh("moe-search seeds/seed-5 - --json < list.txt"), of_run);
  sh("moe-pack run --row shared --out pack");
  ends_with(2, "moe-search pack - < list.txt", {"--dataset", "pack"});
  ends_with(2, "moe-search pack - --dataset data < list.txt", {"moe-embed data --model pack"});
  EXPECT_EQ(sh("moe-search pack - --dataset data --embedding run/decoder --json < list.txt"),
            of_run);
}

TEST_F(Predict, KeepsTheOrderAndGoesOnBehindABadImage) {
  std::ofstream(*folder / "bad.jpg") << "no image";
  sh("head -2 list.txt > two.txt");
  const auto two = split(read_file(*folder / "two.txt"), '\n');
  const std::string line =
      "moe-predict run " + two[0] + " bad.jpg gone.jpg " + two[1] + " --embedding rows.npy";
  ends_with(1, line, {"2 of 4 could not be read"});
  const Tensor rows = load_npy(*folder / "rows.npy");
  ASSERT_EQ(rows.size(0), 4);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(std::isnan(rows.as<float>()[i * static_cast<size_t>(rows.size(1))]),
              i == 1 || i == 2);
  }
  const auto lines = lines_of(run(folder->path(), line + " --json --top 2").out);
  ASSERT_EQ(lines.size(), 4);
  EXPECT_EQ(lines[0]["image"], two[0]);
  EXPECT_EQ(lines[0]["tags"].size(), 2);
  EXPECT_GE(lines[0]["tags"][0]["probability"], lines[0]["tags"][1]["probability"]);
  EXPECT_TRUE(lines[1].contains("error"));
  EXPECT_NE(lines[2]["error"].get<std::string>().find("no such file"), std::string::npos);
  EXPECT_EQ(lines[3]["image"], two[1]);
  const auto sure = lines_of(sh("moe-predict run " + two[0] + " --json --threshold 1"));
  EXPECT_EQ(sure[0]["tags"], Json::array());
  EXPECT_EQ(sh("moe-predict run - --csv < " + two[0]).substr(0, 46),
            "image,expert,distance,rank,tag,probability,err");

  // Tags beside images, into what is there.
  fs::copy(*folder / two[0], *folder / "photo.png");
  sh("moe-predict run photo.png --write-xmp --top 1");
  const std::string made = read_file(*folder / "photo.png.xmp");
  const Json tag = lines_of(sh("moe-predict run photo.png --json --top 1"))[0]["tags"][0]["tag"];
  EXPECT_NE(made.find(">" + tag.get<std::string>() + "<"), std::string::npos) << made;
  sh("moe-predict run photo.png --write-xmp --top 1");
  EXPECT_EQ(read_file(*folder / "photo.png.xmp"), made);

  ends_with(2, "moe-predict nowhere photo.png", {"nowhere: no such folder"});
  ends_with(2, "moe-predict data photo.png", {"data: holds no networks"});
  ends_with(2, "moe-predict run photo.png --row reroute", {"row reroute is not there (yet)"});
  ends_with(2, "moe-predict run photo.png --temperature 2", {"--top-experts"});
  ends_with(2, "moe-predict run photo.png --embedding data", {"is a folder", "data/rows.npy"});
  ends_with(2, "moe-predict run photo.png --top 0", {"--top: expected 1"});
  ends_with(2, "moe-predict run photo.png --threshold 2", {"--threshold: expected"});
  ends_with(2, "moe-predict run/base photo.png --top-experts 2", {"is a single network"});
  ends_with(2, "moe-predict run photo.png --json --csv", {"--csv"});
  ends_with(1, "moe-predict run - < /dev/null", {"no images were named"});
  const Outcome binary = run(folder->path(), "moe-predict run - < run/base/model.safetensors");
  EXPECT_EQ(binary.status, 1);
  EXPECT_EQ(binary.out,
            "-  error: standard input is no image of a known format, no tar, and no list of names, "
            "a line each\n");
  const Outcome refused = run(folder->path(), "moe-predict run - --csv --top-experts 2 < list.txt");
  EXPECT_EQ(refused.out, "") << "a heading of what does not follow";
}

TEST_F(Predict, APackStandsAlone) {
  for (const char* row : {"local", "shared", "router"}) {
    const std::string said = sh(fmt::format("moe-predict run - --row {} --json < list.txt", row));
    sh(fmt::format("moe-pack run --row {0} --out pack-{0}", row));
    sh(fmt::format("mkdir -p away && cp -r pack-{0} away/{0}", row));
    EXPECT_EQ(sh(fmt::format("moe-predict away/{} - --json < list.txt", row)), said) << row;
    sh(fmt::format("moe-pack away/{0} --out again-{0}", row));
    EXPECT_EQ(
        sh(fmt::format("diff -r --exclude stage.json --exclude .lock pack-{0} again-{0}", row)),
        "");
  }
  EXPECT_EQ(sh("cat pack-local/tags.tsv"), sh("cat run/base/tags.tsv"));

  // Other commands take it as they take the run.
  const std::string options = "data --config c.yaml --json";
  const std::string own = sh("moe-eval " + options +
                             " --base run/base --partition run/partition --experts run/experts "
                             "--decoder run/decoder");
  EXPECT_EQ(sh("moe-eval " + options + " --model away/shared"), own);
  sh("moe-embed data --config c.yaml --split val --out packed-rows --model away/shared");
  sh("moe-predict away/shared - --embedding packed.npy < list.txt");
  expect_near(*folder / "packed.npy", *folder / "packed-rows/val.npy");

  EXPECT_NE(sh("cat pack-shared/README.md").find("a decoding layer that all experts share"),
            std::string::npos);
  ends_with(0, "moe-pack run --row local --out pack-local", {"already done"});
  ends_with(2, "moe-pack run --row shared --out pack-local", {"made from other inputs", "--force"});
  ends_with(2, "moe-pack run/base --out p", {"is one network", "stands alone already"});
  ends_with(2, "moe-predict away/shared - --row local < list.txt", {"has one row, shared"});
  flip_four_bytes(*folder / "away/local/experts/1/model.safetensors", 3000);
  ends_with(1, "moe-predict away/local - < list.txt", {"experts/1/model.safetensors", "damaged"});
  sh("cp -r pack-local away/changed && sed -i 's/base_share: .*/base_share: 0.9/' "
     "away/changed/mixture.yaml");
  ends_with(1, "moe-predict away/changed - < list.txt", {"mixture.yaml", "changed", "copy"});
  fs::remove(*folder / "away/shared/experts/0/model.safetensors");
  ends_with(1, "moe-predict away/shared - < list.txt", {"lacks experts/0/model.safetensors"});
  sh("cp -r run lacking && rm lacking/experts/1/model.safetensors");
  ends_with(1, "moe-pack lacking --out p", {"experts/1/model.safetensors", "missing"});
  EXPECT_FALSE(fs::exists(*folder / "p/mixture.yaml"));
  sh("sed -i 's/hardmoe mixture 1/hardmoe mixture 9/' away/router/mixture.yaml");
  ends_with(1, "moe-predict away/router - < list.txt", {"hardmoe mixture 9", "update hardmoe"});
  fs::remove(*folder / "run/experts/1/stage.json");
  ends_with(1, "moe-predict run - < list.txt", {"not finished", "experts/1 is not done"});
}

}  // namespace
}  // namespace hardmoe
