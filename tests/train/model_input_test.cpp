// What a network sees of an image is what its model.yaml says: normalisation and evaluation's crop.
#include <gtest/gtest.h>

#include "base/files.h"
#include "engine/network_facts.h"
#include "nn/resnet.h"
#include "small_dataset.h"
#include "temporary_folder.h"
#include "train/inference.h"
#include "train/model_folder.h"

namespace hardmoe {
namespace {
namespace fs = std::filesystem;

constexpr int64_t images = 4;

/// Images of 24×32 pixels whose middle 12×12 pixels are `inside`, all others `outside`, as a dataset.
Dataset dataset_of(const fs::path& folder, uint8_t inside, uint8_t outside) {
  fs::create_directories(folder);
  TarWriter tar(folder / "t.tar");
  for (int i = 0; i < images; ++i) {
    Tensor image(DType::u8, {24, 32, 3});
    const auto pixels = image.as<uint8_t>();
    for (int64_t y = 0; y < 24; ++y) {
      for (int64_t x = 0; x < 32; ++x) {
        const bool is_inside = y >= 6 && y < 18 && x >= 10 && x < 22;
        for (int64_t c = 0; c < 3; ++c) {
          pixels[static_cast<size_t>((y * 32 + x) * 3 + c)] =
              static_cast<uint8_t>((is_inside ? inside : outside) + 10 * i + c);
        }
      }
    }
    tar.add(fmt::format("{}.png", i), encode_png(image));
    tar.add(fmt::format("{}.json", i), R"({"tags": ["a"]})");
  }
  tar.finish();
  IngestOptions options;
  options.sources = {(folder / "t.tar").string()};
  options.out = folder / "data";
  ingest(options);
  return Dataset::open(options.out);
}

std::vector<float> features_of(const Dataset& dataset, const ImageInput& input) {
  ModelConfig config{.depth = 18, .stem = Stem::small, .width = 8, .image_size = 12};
  const StateDict weights = initial_weights(resnet(config, 0), 3);
  // By way of the folder, as moe-embed and moe-eval have it.
  const TemporaryFolder folder;
  config.input = input;
  save_model(folder.path(), {{config, 0, "none"}, weights});
  const ModelCard card = load_model_card(folder.path());
  const auto engine = make_engine("cpu");
  Inference inference(*engine, resnet(card.model, 0), card.model.image_size, Precision::fp32);
  inference.load(weights, "weights");
  std::vector<float> all;
  const Split& split = dataset.split("train");
  inference.run(split, all_items(split), [&](auto, auto, auto features, auto) {
    all.insert(all.end(), features.begin(), features.end());
  });
  EXPECT_EQ(all.size(), static_cast<size_t>(images * 64));
  return all;
}

/// The largest difference over the largest value.
double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0, scale = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    most = std::max(most, std::abs(double{a[i]} - double{b[i]}));
    scale = std::max(scale, std::abs(double{a[i]}));
  }
  return most / scale;
}

TEST(ModelInput, ColoursAndMeanMovedTogetherGiveTheSameFeatures) {
  const TemporaryFolder folder;
  const Dataset dark = dataset_of(folder / "dark", 40, 60);
  const Dataset bright = dataset_of(folder / "bright", 91, 111);  // 51 = 0.2 · 255 more
  ImageInput moved;
  for (double& mean : moved.mean) mean += 0.2;
  const auto expected = features_of(dark, {});
  EXPECT_LT(difference(expected, features_of(bright, moved)), 1e-4);
  EXPECT_GT(difference(expected, features_of(bright, {})), 1e-2);
}

TEST(ModelInput, CropShareShowsTheMiddleAlone) {
  const TemporaryFolder folder;
  const Dataset framed = dataset_of(folder / "framed", 40, 200);
  const Dataset plain = dataset_of(folder / "plain", 40, 40);
  ImageInput half;
  half.crop_share = 0.5;  // 12 of 24 pixels
  EXPECT_EQ(features_of(framed, half), features_of(plain, half));
  EXPECT_GT(difference(features_of(framed, {}), features_of(plain, {})), 1e-2);
}

}  // namespace
}  // namespace hardmoe
