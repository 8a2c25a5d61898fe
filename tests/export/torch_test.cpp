// ResNets of ours in torchvision and timm, and theirs here: strictly, with the same logits.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/files.h"
#include "engine/engine.h"
#include "outside.h"
#include "small_mixtures.h"
#include "tensor/npy.h"
#include "test_files.h"
#include "train/model_folder.h"
#include "train/warm_start.h"

namespace hardmoe {
namespace {

constexpr int64_t images = 2, size = 64, tags = 7;

class Torch : public testing::TestWithParam<const char*> {
 protected:
  static ModelConfig model_of(int depth) {
    return {.depth = depth, .stem = Stem::imagenet, .width = 64, .image_size = size};
  }

  Torch() {
    const auto draws = reference_stream("pixels", images * size * size * 3);
    pixels = Tensor(DType::u8, {images, size, size, 3});
    const Network network = resnet(model_of(18), 0);
    Tensor normalised(DType::f32, {images, 3, size, size});
    for (size_t p = 0; p < draws.size(); ++p) {
      pixels.as<uint8_t>()[p] = static_cast<uint8_t>(127.5 + 127 * draws[p]);
      const size_t colour = p % 3, at = p / 3, plane = size * size;
      normalised.as<float>()[(at / plane * 3 + colour) * plane + at % plane] =
          (static_cast<float>(pixels.as<uint8_t>()[p]) - network.mean[colour]) /
          network.deviation[colour];
    }
    save_npy(folder / "images.npy", normalised);
    std::filesystem::create_directories(folder / "theirs");
  }

  Tensor logits(const ModelConfig& model, const StateDict& weights) {
    CompileOptions options;
    options.batch = images;
    options.mode = Mode::infer;
    const auto program = engine->compile(resnet(model, tags), options);
    program->load_weights(weights, "test");
    Batch batch;
    batch.size = images;
    batch.input = pixels;
    batch.tag_ptr.assign(images + 1, 0);
    Tensor answer(DType::f32, {images, tags});
    program->infer(batch, {}, answer.as<float>());
    return answer;
  }

  static void expect_equal(const Tensor& a, const Tensor& b) {
    ASSERT_EQ(a.shape(), b.shape());
    double most = 0, largest = 0;
    for (size_t i = 0; i < a.as<float>().size(); ++i) {
      const auto x = static_cast<double>(a.as<float>()[i]),
                 y = static_cast<double>(b.as<float>()[i]);
      largest = std::max(largest, std::abs(x));
      most = std::max(most, std::abs(x - y));
    }
    EXPECT_GT(largest, 1e-3);
    EXPECT_LE(most, 1e-4 * largest);
  }

  TemporaryFolder folder;
  Tensor pixels;
  std::unique_ptr<Engine> engine = make_engine("cpu");
};

TEST_P(Torch, AnswersTheSameBothWays) {
  const auto [python, missing] =
      python_with(std::string("numpy, torch, safetensors.torch, ") + GetParam());
  if (!missing.empty()) GTEST_SKIP() << missing;
  std::map<int, Tensor> expected;
  for (const int depth : {18, 34, 50}) {
    const ModelConfig config = model_of(depth);
    Model model{{config, tags, "", {}}, closed_form_weights(resnet(config, tags), "")};
    const auto path = folder / "ours" / std::to_string(depth);
    std::filesystem::create_directories(path);
    save_model(path, model);
    expected[depth] = logits(config, model.weights);
  }
  ASSERT_EQ(std::system(fmt::format("{} -B '{}/../export/load_in_torch.py' {} '{}' > '{}' 2>&1",
                                    python.string(), test_files().string(), GetParam(),
                                    folder.path().string(), (folder / "log").string())
                            .c_str()),
            0)
      << read_file(folder / "log");
  for (const auto& [depth, answer] : expected) {
    SCOPED_TRACE(depth);
    expect_equal(answer, load_npy(folder / "ours" / fmt::format("{}.npy", depth)));
    const auto file = folder / "theirs" / fmt::format("{}.safetensors", depth);
    StateDict weights = closed_form_weights(resnet(model_of(depth), tags), "fresh ");
    const EarlierWeights earlier = read_earlier_weights(file, model_of(depth));
    begin_with(earlier, {{"a", "b", "c", "d", "e", "f", "g"}, std::vector<int64_t>(tags, 1)},
               weights);
    // Their classes are not our tags: the head is fresh until it is put in by hand.
    const StateDict theirs = load_safetensors(file);
    for (const char* name : {"fc.weight", "fc.bias"}) {
      weights.insert_or_assign(name, theirs.at(name));
    }
    expect_equal(logits(model_of(depth), weights),
                 load_npy(folder / "theirs" / fmt::format("{}.npy", depth)));
  }
}

INSTANTIATE_TEST_SUITE_P(Libraries, Torch, testing::Values("torchvision", "timm"),
                         [](const auto& library) { return std::string(library.param); });

}  // namespace
}  // namespace hardmoe
