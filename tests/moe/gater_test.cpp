#include "moe/gater.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "expect_error.h"
#include "temporary_folder.h"
#include "tensor/safetensors.h"

namespace hardmoe {
namespace {

/// Three centroids on a line, at 0, 4 and 10; the last is dear by 20.
Gater line_gater() {
  Gater gater;
  gater.experts = 3;
  gater.inputs = 1;
  gater.centroids = Tensor::from(std::vector<float>{0, 4, 10}, {3, 1});
  gater.prices = {0, 0, 20};
  return gater;
}

TEST(Gater, RoutesByDistanceAndPrice) {
  const Tensor features = Tensor::from(std::vector<float>{-3, 1.9F, 2.1F, 7.5F, 8.5F, 9}, {6, 1});
  const Gater gater = line_gater();
  EXPECT_EQ(gater.route(matrix_view(features), false), (std::vector<uint16_t>{0, 0, 1, 2, 2, 2}));
  // With prices 4 and 10 meet where (x−4)² = (x−10)² + 20, at x = 104/12 = 8.67.
  EXPECT_EQ(gater.route(matrix_view(features)), (std::vector<uint16_t>{0, 0, 1, 1, 1, 2}));
}

TEST(Gater, NearestExpertsComeBestFirstWithSquaredDistances) {
  const Tensor features = Tensor::from(std::vector<float>{8}, {1, 1});
  const ExpertChoices plain = line_gater().nearest_experts(matrix_view(features), 3, false);
  EXPECT_EQ(plain.expert, (std::vector<uint16_t>{2, 1, 0}));
  EXPECT_EQ(plain.squared_distance, (std::vector<float>{4, 16, 64}));
  const ExpertChoices priced = line_gater().nearest_experts(matrix_view(features), 2, true);
  EXPECT_EQ(priced.expert, (std::vector<uint16_t>{1, 2}));
  EXPECT_EQ(priced.squared_distance, (std::vector<float>{16, 4}));
  expect_error([&] { line_gater().nearest_experts(matrix_view(features), 4); },
               {"4 nearest experts of 3"}, ExitStatus::usage);
}

TEST(Gater, WeightsAreASoftmaxOfSquaredDistances) {
  const ExpertChoices choices{
      .experts = 2, .expert = {0, 1, 1, 0}, .squared_distance = {1, 3, 1e9F, 1e9F}};
  const auto weights = gating_weights(choices, 2);
  EXPECT_NEAR(weights[0], 1 / (1 + std::exp(-1.0)), 1e-6);  // exp(−d²/T), not exp(−d⁴/T)
  EXPECT_NEAR(weights[0] + weights[1], 1, 1e-6);
  EXPECT_NEAR(weights[2], 0.5, 1e-6);
  expect_error([&] { gating_weights(choices, 0); }, {"temperature"}, ExitStatus::usage);
}

TEST(Gater, RandomDrawsByImageNumberNearlyEvenly) {
  Gater gater;
  gater.kind = PartitionMethod::random;
  gater.experts = 4;
  gater.inputs = 2;
  gater.seed = 9;
  const Tensor features(DType::f32, {8000, 2});
  const auto experts = gater.route(matrix_view(features));
  std::vector<int64_t> sizes(4);
  for (const uint16_t expert : experts) ++sizes.at(expert);
  for (const int64_t size : sizes) EXPECT_NEAR(static_cast<double>(size), 2000, 200);
  const auto tail = gater.route(matrix_view(features).slice(0, 10), true, 500);
  EXPECT_TRUE(std::equal(tail.begin(), tail.end(), experts.begin() + 500));
  const auto choices = gater.nearest_experts(matrix_view(features).slice(0, 10), 4, true, 500);
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(choices.expert[4 * i], tail[i]);
}

TEST(Gater, SurvivesItsFile) {
  const TemporaryFolder folder;
  Tensor features(DType::f32, {300, 6});
  for (size_t i = 0; i < 1800; ++i) {
    features.as<float>()[i] = std::sin(static_cast<float>(i * i % 997));
  }
  Gater gater;
  gater.experts = 5;
  gater.inputs = 6;
  gater.seed = UINT64_MAX;
  gater.pca = fit_pca(matrix_view(features), 3, true);
  const Tensor z = gater.project(matrix_view(features));
  gater.centroids = Tensor(DType::f32, {5, 3});
  std::copy_n(z.as<float>().data(), 15, gater.centroids.as<float>().data());
  gater.prices = {0.1F, 0, -0.1F, 0.2F, -0.2F};
  save_gater(folder / "gater.safetensors", gater);
  const Gater back = load_gater(folder / "gater.safetensors");
  EXPECT_EQ(back.seed, UINT64_MAX);
  EXPECT_TRUE(back.pca->whitened);
  EXPECT_EQ(back.route(matrix_view(features)), gater.route(matrix_view(features)));
  const Tensor narrow(DType::f32, {2, 5});
  expect_error([&] { back.route(matrix_view(narrow)); }, {"features of 6 values, found 5"});
}

TEST(Gater, NamesWhatAFileHasWrong) {
  const TemporaryFolder folder;
  const auto file = folder / "gater.safetensors";
  expect_error([&] { load_gater(file); }, {"gater.safetensors", "moe-partition"});
  save_gater(file, line_gater());
  Metadata metadata;
  const StateDict good = load_safetensors(file, &metadata);

  StateDict bad = good;
  bad.erase("prices");
  save_safetensors(file, bad, metadata);
  expect_error([&] { load_gater(file); }, {"'prices' is missing"});
  bad = good;
  bad["centroids"] = Tensor(DType::f32, {3, 7});
  save_safetensors(file, bad, metadata);
  expect_error([&] { load_gater(file); }, {"'centroids' has shape 3×7, expected 3×1"});
  bad = good;
  bad["centroids"] = Tensor(DType::f64, {3, 1});
  save_safetensors(file, bad, metadata);
  expect_error([&] { load_gater(file); }, {"'centroids' is float64, expected float32"});
  save_safetensors(file, good);
  expect_error([&] { load_gater(file); }, {"metadata 'experts' is missing"});
  metadata["kind"] = "magic";
  save_safetensors(file, good, metadata);
  expect_error([&] { load_gater(file); }, {"unknown method 'magic'"});
}

/// A gater of three experts, the last two of them halves: of expert 0, then of that half.
Gater halved_gater() {
  Gater gater = line_gater();
  gater.centroids = Tensor::from(std::vector<float>{0}, {1, 1});
  gater.prices = {0};
  const Tensor pair = Tensor::from(std::vector<float>{-1, 1}, {2, 1});
  gater.halvings = {{0, 1, pair, {0, 0}}, {1, 2, pair, {0, 0}}};
  return gater;
}

class GaterFile : public testing::Test {
 protected:
  /// Takes the gater's file as what is to be changed.
  void begin(const Gater& gater) {
    metadata_.clear();
    save_gater(file_, gater);
    tensors_ = load_safetensors(file_, &metadata_);
  }
  void refuse(const std::vector<std::string>& words) {
    save_safetensors(file_, tensors_, metadata_);
    std::vector<std::string> all = words;
    all.emplace_back("gater.safetensors");
    expect_error([&] { load_gater(file_); }, all);
  }
  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "gater.safetensors";
  StateDict tensors_;
  Metadata metadata_;
};

TEST_F(GaterFile, HalvesOfHalvesAreRead) {
  begin(halved_gater());
  const Tensor features = Tensor::from(std::vector<float>{-3, 3}, {2, 1});
  const Gater back = load_gater(file_);
  EXPECT_EQ(back.route(matrix_view(features)), (std::vector<uint16_t>{0, 2}));
  EXPECT_EQ(back.nearest_experts(matrix_view(features), 3).expert.size(), 6U);
}

TEST_F(GaterFile, HalvingsHaveAShapeAndAType) {
  for (const Shape& shape : {Shape{}, Shape{4}, Shape{1, 4}, Shape{2, 2, 1}}) {
    begin(halved_gater());
    tensors_["splits.experts"] = Tensor(DType::i32, shape);
    refuse({"'splits.experts' has shape", "halvings × 2"});
  }
  begin(halved_gater());
  tensors_["splits.experts"] = Tensor(DType::i64, {2, 2});
  refuse({"'splits.experts' is int64, expected int32"});
}

TEST_F(GaterFile, AHalfIsANewExpertOfOneThatIsThere) {
  for (const std::vector<int32_t>& experts :
       {std::vector<int32_t>{0, 1, 2, 2}, {0, 1, 1, 1}, {0, 0, 1, 2}, {1, 2, 0, 1}, {0, 2, 1, 0}}) {
    begin(halved_gater());
    tensors_["splits.experts"] = Tensor::from(experts, {2, 2});
    refuse({"'splits.experts' makes expert"});
  }
}

TEST_F(GaterFile, CentroidsAreAtLeastOneAndCanBeNumbered) {
  for (const Shape& shape : {Shape{0, 1}, Shape{3, 0}, Shape{65536, 1}, Shape{3}}) {
    begin(line_gater());
    tensors_["centroids"] = Tensor(DType::f32, shape);
    tensors_["expert_of"] = Tensor(DType::i32, {shape[0]});
    refuse({"'centroids' has shape", "expected 1 to 65535 centroids × dimensions"});
  }
  for (const char* inputs : {"0", "-1"}) {
    begin(line_gater());
    metadata_["inputs"] = inputs;
    refuse({"'inputs' is", "expected 1 or more"});
  }
}

TEST_F(GaterFile, NumbersAreFinite) {
  Gater gater = halved_gater();
  gater.pca.emplace();
  gater.pca->mean = Tensor(DType::f32, {1});
  gater.pca->components = Tensor::from(std::vector<float>{1}, {1, 1});
  for (const float value : {std::nanf(""), INFINITY, -INFINITY}) {
    for (const char* name : {"centroids", "prices", "pca.mean", "pca.components",
                             "splits.centroids", "splits.prices"}) {
      begin(gater);
      tensors_.at(name).as<float>()[0] = value;
      refuse({fmt::format("'{}' holds NaN or infinity", name)});
    }
  }
  gater = {};
  gater.kind = PartitionMethod::random;
  gater.experts = 2;
  gater.inputs = 1;
  gater.prices = {0, INFINITY};
  begin(gater);
  refuse({"'prices' holds NaN or infinity"});
}

}  // namespace
}  // namespace hardmoe
