#include "moe/partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "expect_error.h"
#include "moe/embedding.h"
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
  const Json whole = read_json(folder / "partition.json");
  for (const auto& [field, value, words] : std::initializer_list<std::array<std::string, 3>>{
           {"experts", "4294967299", "'experts' is 4294967299, expected -2147483648 to 2147483647"},
           {"pca", "64.5", "'pca' is not a whole number"},
           {"sizes", "[1, \"a\"]", "'sizes' holds string, expected number"},
           {"iterations", "7", "'iterations' holds number, expected array"}}) {
    Json record = whole;
    record[field] = Json::parse(value);
    write_json(folder / "partition.json", record);
    expect_error([&] { load_partition(folder.path()); }, {"partition.json: field ", words});
  }
  write_json(folder / "partition.json", whole);
  std::vector<uint16_t> wrong(500, 1);
  save_npy(folder / "assignment.npy", wrong);
  expect_error([&] { load_partition(folder.path()); },
               {"partition.json", "make the partition again"});
  wrong[7] = 3;
  save_npy(folder / "assignment.npy", wrong);
  expect_error([&] { load_partition(folder.path()); }, {"assignment.npy: names expert 3 of 3"});
}

TEST(Partition, RefusesWhatIsImpossible) {
  Tensor features = features_of(10, 3);
  const auto fails = [&](const PartitionConfig& config, const std::string& words) {
    expect_error([&] { partition_images(matrix_view(features), {}, config, 1); }, {words},
                 ExitStatus::usage);
  };
  fails({.experts = 11}, "10 images cannot be divided among 11 experts");
  fails({.experts = 70000}, "expected 1 to 65535, found 70000");
  fails({.pca = -1}, "partition.pca");
  fails({.tolerance = -0.1}, "partition.tolerance");
  fails({.iterations = 0}, "partition.iterations");
  fails({.fine = 3}, "partition.fine: expected 0 or from 4");
  fails({.memory_limit = "lots"}, "partition.memory: expected a size such as 512M");
  fails({.memory_limit = "3M"}, "take at least");
  fails({.method = PartitionMethod::top_tag}, "tags of 0 images but features of 10");
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

std::vector<float> rows_of(const Embedding& embedding, int64_t first, int64_t count) {
  std::vector<float> rows(static_cast<size_t>(count * embedding.cols()));
  embedding.read(first, count, rows.data());
  return rows;
}

TEST(Embedding, ReadsHalfPrecisionAndRefusesTheRest) {
  const TemporaryFolder folder;
  const auto file = folder / "train.npy";
  save_npy(file, Tensor::from(std::vector<Float16>{to_float16(1.5F), to_float16(-2)}, {1, 2}));
  const Embedding half({file});
  EXPECT_EQ(half.cols(), 2);
  EXPECT_EQ(rows_of(half, 0, 1), (std::vector<float>{1.5F, -2}));

  save_npy(file, std::vector<float>{1, 2, 3});
  expect_error([&] { Embedding({file}); }, {"train.npy", "expected images × dimensions"},
               ExitStatus::usage);
  save_npy(file, Tensor(DType::i32, {2, 2}));
  expect_error([&] { Embedding({file}); }, {"train.npy", "int32", "float16"}, ExitStatus::usage);
  save_npy(file, Tensor::from(std::vector<float>{1, 2, INFINITY, 4}, {2, 2}));
  const Embedding infinite({file});
  expect_error([&] { rows_of(infinite, 0, 2); }, {"train.npy: row 1", "NaN or an infinity"});
  std::filesystem::resize_file(file, 140);
  expect_error([&] { rows_of(infinite, 0, 2); }, {"train.npy", "ends at byte 140"});
}

TEST(Embedding, PartsFollowOneAnotherInTheOrderOfTheirNames) {
  const TemporaryFolder folder;
  save_npy(folder / "b.npy", Tensor::from(std::vector<double>{5, 6}, {1, 2}));
  save_npy(folder / "a.npy", Tensor::from(std::vector<float>{1, 2, 3, 4}, {2, 2}));
  save_npy(folder / "c.npy",
           Tensor::from(std::vector<Float16>{to_float16(7), to_float16(8)}, {1, 2}));
  const auto files = find_embedding({folder.path()}).files;
  const Embedding parts(files);
  EXPECT_EQ(parts.rows(), 4);
  EXPECT_EQ(rows_of(parts, 0, 4), (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(rows_of(parts, 1, 2), (std::vector<float>{3, 4, 5, 6}));
  EXPECT_EQ(rows_of(parts, 3, 1), (std::vector<float>{7, 8}));
  save_npy(folder / "d.npy", Tensor(DType::f32, {2, 3}));
  expect_error([&] { Embedding{find_embedding({folder.path()}).files}; },
               {"d.npy", "rows of 3 values", "has 2"}, ExitStatus::usage);
  expect_error(
      [&] {
        find_embedding({folder / "a.npy", folder / "b.npy", folder / "a.npy"});
      },
      {"a.npy: named twice"}, ExitStatus::usage);
  std::filesystem::create_directory(folder / "many");
  for (const char* name : {"part1.npy", "part2.npy", "part10.npy"}) {
    std::filesystem::copy(folder / "a.npy", folder / "many" / name);
  }
  expect_error([&] { find_embedding({folder / "many"}); },
               {"part10.npy comes before part2.npy", "equally many digits"}, ExitStatus::usage);
  std::filesystem::remove(folder / "many/part10.npy");
  std::filesystem::copy(folder / "a.npy", folder / "many/part_é.npy");
  std::filesystem::copy(folder / "a.npy", folder / "many/part_a.npy");
  EXPECT_EQ(find_embedding({folder / "many"}).files.size(), 4U);
  std::filesystem::create_directory(folder / "empty");
  expect_error([&] { find_embedding({folder / "empty"}); }, {"holds no .npy files"},
               ExitStatus::usage);
}

/// The same rows as parts of float32 on disk, under the least memory.
TEST(Partition, StreamedIsTheSameAsInMemory) {
  const TemporaryFolder folder;
  const Tensor features = features_of(40000, 64);
  const MatrixView rows = matrix_view(features);
  std::vector<std::filesystem::path> files;
  for (const auto& [begin, end] : {std::pair{0, 1}, {1, 17000}, {17000, 40000}}) {
    Tensor part(DType::f32, {end - begin, 64});
    std::copy(rows.row(begin), rows.row(end), part.as<float>().begin());
    files.push_back(folder / fmt::format("part-{}.npy", files.size()));
    save_npy(files.back(), part);
  }
  const Embedding streamed(files);
  for (const auto method :
       {PartitionMethod::kmeans, PartitionMethod::random, PartitionMethod::top_tag}) {
    PartitionConfig config{.method = method, .experts = 20, .pca = 24, .iterations = 4};
    std::vector<int32_t> tags(40000);
    for (size_t i = 0; i < tags.size(); ++i) tags[i] = static_cast<int32_t>(i % 97);
    const Partition whole = partition_images(rows, tags, config, 5);
    config.memory_limit = "1M";
    std::string least;
    try {
      partition_images(streamed, tags, config, 5);
      FAIL() << "1M is too little";
    } catch (const Error& error) {
      const std::string words = error.what();
      const size_t at = words.find("at least ") + 9;
      least = words.substr(at, words.find(',', at) - at);
    }
    config.memory_limit = least;
    Partition partition = partition_images(streamed, tags, config, 5);
    EXPECT_EQ(partition.assignment, whole.assignment);
    EXPECT_EQ(partition_json(partition).dump(), partition_json(whole).dump());
    EXPECT_EQ(partition.gater.prices, whole.gater.prices);
  }
}

TEST(Partition, ResumedIsTheSameAsUninterrupted) {
  const TemporaryFolder folder;
  const Tensor features = features_of(5000, 12);
  const MatrixSource source(matrix_view(features));
  const PartitionConfig config{.experts = 8, .pca = 6, .iterations = 7};
  const Partition whole = partition_images(source, {}, config, 5);
  int iterations = 0;
  const auto stop = [&](const PartitionState& state) {
    save_partition_state(folder.path(), state);
    if (++iterations % 3 == 0) throw Error("stop", ExitStatus::interrupted);
  };
  EXPECT_FALSE(load_partition_state(folder.path()).has_value());
  Partition resumed;
  for (int run = 0; run < 3; ++run) {
    const auto state = load_partition_state(folder.path());
    const PartitionRun from{.observe = stop, .resume = state ? &*state : nullptr};
    if (run < 2) {
      EXPECT_THROW(partition_images(source, {}, config, 5, from), Error);
    } else {
      resumed = partition_images(source, {}, config, 5, from);
    }
  }
  EXPECT_EQ(iterations, 7);
  EXPECT_EQ(resumed.assignment, whole.assignment);
  EXPECT_EQ(partition_json(resumed).dump(), partition_json(whole).dump());
  EXPECT_EQ(resumed.gater.prices, whole.gater.prices);
}

TEST(Partition, ResumedWarnsAgain) {
  Tensor features = features_of(2000, 12);
  for (int64_t i = 0; i < 2000; ++i) {
    for (int64_t d = 5; d < 12; ++d) features.as<float>()[static_cast<size_t>(12 * i + d)] = 1;
  }
  const MatrixSource source(matrix_view(features));
  const PartitionConfig config{.experts = 4, .pca = 8, .iterations = 3};
  const auto said = [] {
    const auto all = warnings_so_far();
    return std::ranges::count_if(all, [](const std::string& warning) {
      return warning.find("kept 5 dimensions of the 8") != std::string::npos;
    });
  };
  std::optional<PartitionState> saved;
  const auto stop = [&](const PartitionState& state) {
    saved = state;
    throw Error("stop", ExitStatus::interrupted);
  };
  EXPECT_THROW(partition_images(source, {}, config, 5, {.observe = stop}), Error);
  EXPECT_EQ(said(), 1);
  partition_images(source, {}, config, 5, {.resume = &*saved});
  EXPECT_EQ(said(), 2);
}

TEST(Partition, FineCentroidsAreGroupedIntoEqualExperts) {
  const TemporaryFolder folder;
  const Tensor features = features_of(9000, 10);
  const PartitionConfig config{.experts = 5, .pca = 0, .iterations = 6, .fine = 40};
  const Partition partition = partition_images(matrix_view(features), {}, config, 3);
  EXPECT_TRUE(partition.balanced);
  EXPECT_LE(partition.imbalance, 1.0501);
  EXPECT_EQ(partition.sizes.size(), 5U);
  EXPECT_EQ(partition.gater.centroids.shape(), (Shape{40, 10}));
  EXPECT_EQ(partition.gater.route(matrix_view(features)), partition.assignment);
  save_partition(folder.path(), partition);
  const Partition back = load_partition(folder.path());
  EXPECT_EQ(back.gater.expert_of, partition.gater.expert_of);
  EXPECT_EQ(back.gater.route(matrix_view(features)), partition.assignment);
  const ExpertChoices choices = back.gater.nearest_experts(matrix_view(features), 5);
  for (size_t i = 0; i < 9000; ++i) {
    ASSERT_EQ(choices.expert[5 * i], partition.assignment[i]);
    std::vector<uint16_t> all(choices.expert.begin() + static_cast<int64_t>(5 * i),
                              choices.expert.begin() + static_cast<int64_t>(5 * i + 5));
    std::sort(all.begin(), all.end());
    ASSERT_EQ(all, (std::vector<uint16_t>{0, 1, 2, 3, 4}));
  }
}

}  // namespace
}  // namespace hardmoe
