// moe-export as a user runs it: what it writes, that it is done once, and what it refuses.
#include <cmath>

#include "outside.h"
#include "pipeline/commands.h"
#include "tensor/npy.h"
#include "test_files.h"

namespace hardmoe {
namespace {

class Export : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = new TemporaryFolder;
    write_pictures(folder->path(), 200);
    std::ofstream(*folder / "c.yaml") << small_config;
    sh("moe-ingest images.jsonl --out data --val-fraction 0.2 --quiet && mkdir run && "
       "moe-train-base data --out run/base --epochs 2" +
       config + " && moe-embed data --model run/base --out run/embedding" + config +
       " && moe-partition run/embedding --out run/partition" + config +
       " && for k in 0 1; do moe-train-expert data --base run/base --partition run/partition "
       "--expert $k --epochs 1 --out run/experts/$k" +
       config + "; done && moe-train-decoder data --epochs 1 --out run/decoder" + mixture + config);
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

  static inline const std::string config = " --config c.yaml --quiet";
  static inline const std::string mixture =
      " --base run/base --partition run/partition --experts run/experts";
  static inline TemporaryFolder* folder = nullptr;
};

TEST_F(Export, WritesOnceAndAnewWhereItIsForced) {
  const std::string line = "moe-export run --out once --quiet";
  const Json results = parse_json(sh(line), line);
  EXPECT_EQ(results.at("experts"), 2);
  EXPECT_EQ(results.at("files"), (Json{"model.onnx", "tags.tsv"}));
  EXPECT_EQ(results.at("bytes").get<size_t>(), fs::file_size(*folder / "once/model.onnx"));
  EXPECT_EQ(read_file(*folder / "once/tags.tsv"), read_file(*folder / "run/base/tags.tsv"));
  const std::string bytes = read_file(*folder / "once/model.onnx");
  for (const char* tag : {"red", "stripe"}) EXPECT_NE(bytes.find(tag), std::string::npos) << tag;
  EXPECT_EQ(parse_json(sh(line), line), results);
  expect_refused("moe-export run --single-image --out once", {"single_image", "--force"});
  sh("moe-export run --single-image --out once --force --quiet");
  EXPECT_NE(read_file(*folder / "once/model.onnx"), bytes);
  sh("moe-export" + mixture + " --out by-folders --quiet");
  EXPECT_EQ(read_file(*folder / "by-folders/model.onnx"), bytes);
}

TEST_F(Export, SaysWhatCannotBe) {
  expect_refused("moe-export --out x", {"--model", "--help"});
  expect_refused("moe-export run --format tflite --out x", {"--format", "onnx", "tflite"});
  expect_refused("moe-export run --expert 2 --out x", {"--expert 2", "0 to 1"});
  expect_refused("moe-export run --expert -1 --out x", {"--expert -1", "0 to 1"});
  expect_refused("moe-export" + mixture + " --features f.npy --out x", {"--features", "--router"});
  expect_refused("moe-export --model run/base --expert 0 --out x", {"one model"});
  expect_refused("moe-export run --row wider --out x", {"wider", "local"});
  expect_refused("moe-export data --out x", {"data", "holds no networks"});
  expect_refused("moe-export run --base-share -1 --out x", {"-1", "moe-eval"});
  expect_refused("moe-export run --row shared --base-share 2 --out x", {"base_share"});
  sh("moe-partition run/embedding --method random --out random" + config +
     " && for k in 0 1; do moe-train-expert data --base run/base --partition random --expert $k "
     "--epochs 1 --out r/$k" +
     config + "; done");
  const std::string random = "moe-export --base run/base --partition random --experts r --out x";
  expect_refused(random, {"random", "--expert"});
  EXPECT_FALSE(fs::exists(*folder / "x"));
  sh(random + " --expert 1 --quiet");
}

// The same images as moe-embed sees them: pictures are PNGs, and no larger than the view.
TEST_F(Export, EmbedsAsMoeEmbedDoes) {
  const auto [python, missing] = python_with("numpy, onnx, onnxruntime");
  if (!missing.empty()) GTEST_SKIP() << missing;
  sh("moe-embed data --split val --out expected" + mixture + config);
  sh("moe-export run --with-preprocessing --out whole --quiet && "
     "moe-export run --row shared --out views --quiet");
  std::ofstream(*folder / "views.py") << R"(
import json, os, sys, numpy, onnxruntime
from PIL import Image
import io
record = json.load(open("data/dataset.json"))
column = lambda name: numpy.load(f"data/val/{name}.npy")
images = []
for shard, offset, length in zip(column("shard"), column("offset"), column("length")):
    with open(os.path.join("data", record["shards"][shard]["path"]), "rb") as file:
        file.seek(offset)
        images.append(numpy.asarray(Image.open(io.BytesIO(file.read(length))).convert("RGB")))
images = numpy.stack(images)
for name, given in (("whole", images), ("views", images.transpose(0, 3, 1, 2).astype("f4") / 255)):
    session = onnxruntime.InferenceSession(f"{name}/model.onnx")
    numpy.save(f"{name}.npy", session.run(["embedding"], {"images": given})[0])
)";
  if (!python_with("PIL.Image").missing.empty()) GTEST_SKIP() << "needs Pillow";
  const Outcome outcome = run(folder->path(), python.string() + " -B views.py");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Tensor expected = load_npy(*folder / "expected/val.npy");
  for (const char* name : {"whole.npy", "views.npy"}) {
    const Tensor found = load_npy(*folder / name);
    ASSERT_EQ(found.shape(), expected.shape());
    double most = 0, largest = 0;
    for (size_t i = 0; i < found.as<float>().size(); ++i) {
      const auto a = static_cast<double>(expected.as<float>()[i]);
      largest = std::max(largest, std::abs(a));
      most = std::max(most, std::abs(a - static_cast<double>(found.as<float>()[i])));
    }
    EXPECT_LE(most, 1e-4 * largest) << name;
  }
}

}  // namespace
}  // namespace hardmoe
