#include "moe/partition.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/files.h"
#include "base/random.h"
#include "expect_error.h"
#include "moe/embedding_file.h"
#include "temporary_folder.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

Tensor features_of(int64_t images, int64_t depth) {
  Random random(21, RandomUse::test);
  Tensor features(DType::f32, {images, depth});
  for (float& value : features.as<float>()) value = random.normal() * random.normal() + 2;
  return features;
}

TEST(Partition, KMeansAssignsAsItsGaterDoes) {
  const Tensor features = features_of(3000, 20);
  const PartitionConfig config{.experts = 7, .pca = 9, .iterations = 8};
  const Partition partition = partition_images(matrix_view(features), {}, config, 5);
  EXPECT_TRUE(partition.balanced);
  EXPECT_LE(partition.imbalance, 1.0501);
  EXPECT_EQ(partition.gater.route(matrix_view(features)), partition.assignment);
  EXPECT_GT(partition.explained_variance, 0.4);
  EXPECT_LT(partition.explained_variance, 0.7);
  EXPECT_FALSE(partition.iterations.empty());
}

TEST(Partition, RandomPartsAreEqualAndUnrelatedToFeatures) {
  const Tensor features = features_of(1003, 4);
  const PartitionConfig config{.method = PartitionMethod::random, .experts = 4, .pca = 0};
  const Partition partition = partition_images(matrix_view(features), {}, config, 5);
  for (const int64_t size : partition.sizes) EXPECT_TRUE(size == 250 || size == 251) << size;
  EXPECT_TRUE(partition.balanced);
  const Partition other = partition_images(matrix_view(features), {}, config, 6);
  int64_t same = 0;
  for (size_t i = 0; i < 1003; ++i) same += partition.assignment[i] == other.assignment[i];
  EXPECT_NEAR(static_cast<double>(same), 1003 / 4.0, 60);
}

TEST(Partition, TopTagsArePackedWhole) {
  // Tags 0 … 3 on 5, 3, 3 and 1 images, 2 images without: 5+1 against 3+3, then one each.
  const std::vector<int32_t> tags = {0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, -1, -1};
  Tensor features(DType::f32, {14, 2});
  for (size_t i = 0; i < 14; ++i) features.as<float>()[2 * i] = static_cast<float>(tags[i]);
  const PartitionConfig config{.method = PartitionMethod::top_tag, .experts = 2, .pca = 0};
  const Partition partition = partition_images(matrix_view(features), tags, config, 1);
  EXPECT_EQ(partition.assignment,
            (std::vector<uint16_t>{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1}));
  EXPECT_EQ(partition.sizes, (std::vector<int64_t>{7, 7}));
  // Unseen images go to the nearest mean: (0·5 + 3 − 1)/7 = 2/7 and (3 + 6 − 1)/7 = 8/7.
  const Tensor unseen = Tensor::from(std::vector<float>{0.6F, 0, 0.8F, 0}, {2, 2});
  EXPECT_EQ(partition.gater.route(matrix_view(unseen)), (std::vector<uint16_t>{0, 1}));
}

TEST(Partition, SurvivesItsFiles) {
  const TemporaryFolder folder;
  const Tensor features = features_of(500, 6);
  for (const auto method : {PartitionMethod::kmeans, PartitionMethod::random}) {
    const PartitionConfig config{.method = method, .experts = 3, .pca = 64, .iterations = 4};
    const Partition partition = partition_images(matrix_view(features), {}, config, 2);
    EXPECT_EQ(save_partition(folder.path(), partition).size(), 3U);
    const Partition back = load_partition(folder.path());
    EXPECT_EQ(back.assignment, partition.assignment);
    EXPECT_EQ(partition_json(back).dump(), partition_json(partition).dump());
    EXPECT_EQ(back.gater.route(matrix_view(features)),
              partition.gater.route(matrix_view(features)));
  }
  std::vector<uint16_t> wrong(500, 1);
  save_npy(folder / "assignment.npy", wrong);
  expect_error([&] { load_partition(folder.path()); },
               {"partition.json", "make the partition again"});
  wrong[7] = 3;
  save_npy(folder / "assignment.npy", wrong);
  expect_error([&] { load_partition(folder.path()); }, {"assignment.npy: names expert 3 of 3"});
}

TEST(Partition, SaysWhatIsImpossible) {
  Tensor features = features_of(10, 3);
  const auto fails = [&](const PartitionConfig& config, const std::string& words) {
    expect_error([&] { partition_images(matrix_view(features), {}, config, 1); }, {words},
                 ExitStatus::usage);
  };
  fails({.experts = 11}, "10 images cannot be given to 11 experts");
  fails({.experts = 70000}, "expected 1 to 65535, found 70000");
  fails({.pca = -1}, "partition.pca");
  fails({.tolerance = -0.1}, "partition.tolerance");
  fails({.iterations = 0}, "partition.iterations");
  fails({.method = PartitionMethod::top_tag}, "tags of 0 images, features of 10");
  features.as<float>()[13] = NAN;
  expect_error([&] { partition_images(matrix_view(features), {}, {.experts = 2}, 1); },
               {"image 4", "NaN"});
}

TEST(Partition, ConfigurationNamesItsMethods) {
  PartitionConfig config;
  apply_override("method=top-tag", fields_of(config));
  EXPECT_EQ(config.method, PartitionMethod::top_tag);
  expect_error([&] { apply_override("method=kmean", fields_of(config)); }, {"kmean"},
               ExitStatus::usage);
}

TEST(EmbeddingFile, ReadsHalfPrecisionAndRefusesTheRest) {
  const TemporaryFolder folder;
  const auto file = folder / "train.npy";
  save_npy(file, Tensor::from(std::vector<Float16>{to_float16(1.5F), to_float16(-2)}, {1, 2}));
  const EmbeddingFile half(file);
  EXPECT_EQ(half.view().cols, 2);
  EXPECT_EQ(half.view().row(0)[0], 1.5F);
  EXPECT_EQ(half.view().row(0)[1], -2.0F);

  save_npy(file, std::vector<float>{1, 2, 3});
  expect_error([&] { EmbeddingFile{file}; }, {"train.npy", "expected images × dimensions"});
  save_npy(file, Tensor(DType::i32, {2, 2}));
  expect_error([&] { EmbeddingFile{file}; }, {"train.npy", "int32", "float16"});
  save_npy(file, Tensor::from(std::vector<float>{1, 2, INFINITY, 4}, {2, 2}));
  expect_error([&] { EmbeddingFile{file}; }, {"train.npy: row 1", "NaN or an infinity"});
}

}  // namespace
}  // namespace hardmoe
