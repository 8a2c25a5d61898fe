// What moe-partition's default rule makes of embeddings that are hard on float32 or on balance.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/random.h"
#include "cluster/balance.h"
#include "expect_error.h"
#include "moe/embedding.h"
#include "moe/partition.h"
#include "moe/partition_sizes.h"
#include "temporary_folder.h"
#include "tensor/npy.h"

namespace hardmoe {
namespace {

/// Embeddings of which the images `equal` (in groups) have one each.
struct WithCopies {
  Tensor features;
  std::vector<std::vector<int64_t>> equal;
};

/// Rows drawn about a few centres; groups of so many are copies of one of them.
WithCopies with_copies(int64_t images, int64_t depth, const std::vector<int64_t>& groups,
                       uint64_t seed) {
  Random random(seed, RandomUse::test);
  std::vector<float> centres(static_cast<size_t>(12 * depth));
  for (float& value : centres) value = 2 * random.normal();
  WithCopies made{.features = Tensor(DType::f32, {images, depth}), .equal = {}};
  float* values = made.features.as<float>().data();
  for (int64_t i = 0; i < images; ++i) {
    const auto centre = static_cast<int64_t>(random.below(12));
    for (int64_t d = 0; d < depth; ++d) {
      values[i * depth + d] = centres[static_cast<size_t>(centre * depth + d)] + random.normal();
    }
  }
  const auto order = random_permutation(images, Random(seed + 1, RandomUse::test));
  size_t at = 0;
  for (const int64_t count : groups) {
    const size_t first = at;
    auto& rows = made.equal.emplace_back();
    for (; at < first + static_cast<size_t>(count); ++at) {
      std::copy_n(values + order[first] * depth, depth, values + order[at] * depth);
      rows.push_back(order[at]);
    }
  }
  return made;
}

/// Every group of copies has one part, of these alone but for `others`, and the other parts are
/// within the tolerance of what remains.
void expect_rest_equal(const Partition& partition, const WithCopies& made, int64_t others) {
  std::set<uint16_t> lone;
  int64_t copies = 0;
  for (const auto& rows : made.equal) {
    const uint16_t part = partition.assignment[static_cast<size_t>(rows[0])];
    for (const int64_t row : rows) ASSERT_EQ(partition.assignment[static_cast<size_t>(row)], part);
    EXPECT_LE(partition.sizes[part], std::ssize(rows) + others);
    lone.insert(part);
    copies += std::ssize(rows);
  }
  ASSERT_EQ(lone.size(), made.equal.size());
  const double mean = static_cast<double>(std::ssize(partition.assignment) - copies) /
                      static_cast<double>(partition.sizes.size() - lone.size());
  for (size_t k = 0; k < partition.sizes.size(); ++k) {
    if (lone.contains(static_cast<uint16_t>(k))) continue;
    EXPECT_GE(static_cast<double>(partition.sizes[k]), std::ceil(0.95 * mean)) << k;
    EXPECT_LE(static_cast<double>(partition.sizes[k]), std::floor(1.05 * mean)) << k;
  }
}

TEST(EqualEmbeddings, HaveAnExpertAndTheRestIsEqual) {
  for (const double share : {0.1, 0.3, 0.5}) {
    for (const int experts : {5, 16, 32}) {
      for (const int pca : {0, 64}) {
        const auto count = static_cast<int64_t>(share * 4000);
        const WithCopies made = with_copies(4000, 16, {count}, static_cast<uint64_t>(experts));
        const PartitionConfig config{.experts = experts, .pca = pca};
        const MatrixView rows = matrix_view(made.features);
        const Partition partition = partition_images(rows, {}, config, 3);
        SCOPED_TRACE(fmt::format("{} {} {}", share, experts, pca));
        EXPECT_EQ(partition.gater.route(rows), partition.assignment);
        if (share * experts < 1) {  // they are part of an expert's share
          EXPECT_TRUE(partition.balanced);
          EXPECT_TRUE(partition.equal_rows.empty());
          continue;
        }
        EXPECT_EQ(partition.equal_rows, (std::vector<int64_t>{count}));
        EXPECT_FALSE(partition.balanced);
        expect_rest_equal(partition, made, 100);
      }
    }
  }
}

TEST(EqualEmbeddings, OfSeveralValuesHaveAnExpertEach) {
  const WithCopies made = with_copies(6000, 16, {1500, 900, 700}, 4);
  const MatrixView rows = matrix_view(made.features);
  const Partition partition = partition_images(rows, {}, {.experts = 12, .pca = 10}, 3);
  EXPECT_EQ(partition.equal_rows, (std::vector<int64_t>{1500, 900, 700}));
  expect_rest_equal(partition, made, 10);
  // With fine centroids too; and plain k-means leaves no part empty.
  const PartitionConfig fine{.experts = 12, .pca = 10, .fine = 60};
  const Partition grouped = partition_images(rows, {}, fine, 3);
  expect_rest_equal(grouped, made, 30);
  EXPECT_EQ(grouped.gater.route(rows), grouped.assignment);
  const Partition plain = partition_images(rows, {}, {.experts = 12, .tolerance = 0}, 3);
  EXPECT_GT(*std::ranges::min_element(plain.sizes), 0);
}

TEST(EqualEmbeddings, AreMoreThanAFineCentroidMayHaveAndPartOfAnExpert) {
  const WithCopies made = with_copies(6000, 16, {500, 400, 300}, 5);
  const MatrixView rows = matrix_view(made.features);
  const PartitionConfig config{.experts = 6, .pca = 10, .fine = 128};
  const Partition partition = partition_images(rows, {}, config, 3);
  EXPECT_TRUE(partition.balanced) << *std::ranges::max_element(partition.sizes);
  EXPECT_LE(partition.iterations.size(), 25);  // of one attempt
  EXPECT_EQ(partition.gater.route(rows), partition.assignment);
}

TEST(EqualEmbeddings, FewerThanExpertsFillAsManyAsThereAre) {
  Tensor features(DType::f32, {600, 6});
  for (int64_t i = 0; i < 600; ++i) features.as<float>()[static_cast<size_t>(6 * i + i % 3)] = 5;
  const TemporaryFolder folder;
  for (const int experts : {3, 5, 8}) {
    for (const double tolerance : {0.05, 0.0}) {
      const PartitionConfig config{.experts = experts, .tolerance = tolerance};
      const Partition partition = partition_images(matrix_view(features), {}, config, 2);
      std::vector<int64_t> sizes = partition.sizes;
      std::sort(sizes.begin(), sizes.end());
      std::vector<int64_t> expected(static_cast<size_t>(experts - 3), 0);
      expected.resize(static_cast<size_t>(experts), 200);
      EXPECT_EQ(sizes, expected);
      EXPECT_EQ(partition.balanced, experts == 3 || tolerance == 0);
      save_partition(folder.path(), partition);
      EXPECT_EQ(load_partition(folder.path()).gater.route(matrix_view(features)),
                partition.assignment);
    }
  }
  const Tensor same(DType::f32, {50, 3});
  const Partition one = partition_images(matrix_view(same), {}, {.experts = 4}, 2);
  EXPECT_EQ(*std::ranges::max_element(one.sizes), 50);
  // One image that differs, and one more.
  Tensor two = same.clone();
  two.as<float>()[30] = 1;
  two.as<float>()[61] = 2;
  for (const int pca : {0, 3}) {
    const Partition few = partition_images(matrix_view(two), {}, {.experts = 4, .pca = pca}, 2);
    EXPECT_EQ(std::ranges::count(few.sizes, 48), 1) << pca;
    EXPECT_EQ(std::ranges::count(few.sizes, 1), 2) << pca;
  }
}

/// In float32 files, under the least memory, and interrupted after each iteration.
TEST(EqualEmbeddings, AreFoundInStreamsToo) {
  const TemporaryFolder folder;
  const WithCopies made = with_copies(40000, 32, {12000}, 9);
  const MatrixView rows = matrix_view(made.features);
  save_npy(folder / "x.npy", made.features);
  const Embedding streamed({folder / "x.npy"});
  PartitionConfig config{.experts = 10, .pca = 24, .iterations = 5};
  const Partition whole = partition_images(rows, {}, config, 5);
  expect_rest_equal(whole, made, 30);
  config.memory_limit = "1M";
  try {
    partition_images(streamed, {}, config, 5);
    FAIL() << "1M is too little";
  } catch (const Error& error) {
    const std::string words = error.what();
    const size_t at = words.find("at least ") + 9;
    config.memory_limit = words.substr(at, words.find(',', at) - at);
  }
  Partition partition;
  int runs = 0;
  for (bool stopped = true; stopped && runs < 20; ++runs) {
    const auto state = load_partition_state(folder.path());
    const auto stop = [&](const PartitionState& now) {
      save_partition_state(folder.path(), now);
      throw Error("stop", ExitStatus::interrupted);
    };
    try {
      partition = partition_images(streamed, {}, config, 5,
                                   {.observe = stop, .resume = state ? &*state : nullptr});
      stopped = false;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(runs, 2);
  EXPECT_EQ(partition.assignment, whole.assignment);
  EXPECT_EQ(partition_json(partition).dump(), partition_json(whole).dump());
  EXPECT_EQ(partition.gater.prices, whole.gater.prices);
}

/// Eight groups 8 deviations apart, the label of image i being i mod 8.
Tensor blobs(int64_t images, float offset, float scale = 1) {
  Random random(6, RandomUse::test);
  constexpr int64_t depth = 16;
  Tensor features(DType::f32, {images, depth});
  for (int64_t i = 0; i < images; ++i) {
    for (int64_t d = 0; d < depth; ++d) {
      const float centre = d == i % 8 ? 8.0F : 0.0F;
      features.as<float>()[static_cast<size_t>(i * depth + d)] =
          scale * (centre + random.normal()) + offset;
    }
  }
  return features;
}

/// The share of images whose part is that of most images of their label.
double purity(const std::vector<uint16_t>& assignment) {
  std::vector<std::vector<int64_t>> counts(8, std::vector<int64_t>(8));
  for (size_t i = 0; i < assignment.size(); ++i) ++counts[assignment[i]][i % 8];
  int64_t sum = 0;
  for (const auto& of_part : counts) sum += *std::ranges::max_element(of_part);
  return static_cast<double>(sum) / static_cast<double>(assignment.size());
}

TEST(EmbeddingValues, MayLieFarFromTheOrigin) {
  // scikit-learn 1.7's KMeans finds the eight groups at every one of these offsets.
  const TemporaryFolder folder;
  for (const float offset : {0.0F, 1e3F, 2e4F, 1e6F}) {
    const Tensor features = blobs(1600, offset);
    const MatrixView rows = matrix_view(features);
    for (const int pca : {0, 16}) {
      for (const double tolerance : {0.0, 0.05}) {
        const PartitionConfig config{.experts = 8, .pca = pca, .tolerance = tolerance};
        const Partition partition = partition_images(rows, {}, config, 2);
        EXPECT_GE(purity(partition.assignment), 0.999) << offset << " " << pca;
        save_partition(folder.path(), partition);
        EXPECT_EQ(load_partition(folder.path()).gater.route(rows), partition.assignment);
      }
    }
    std::vector<int32_t> tags;
    for (int32_t i = 0; i < 1600; ++i) tags.push_back(i % 8);
    const PartitionConfig config{.method = PartitionMethod::top_tag, .experts = 8, .pca = 0};
    const Partition by_tag = partition_images(rows, tags, config, 2);
    EXPECT_GE(purity(by_tag.gater.route(rows)), 0.999) << "the nearest mean " << offset;
  }
}

TEST(EmbeddingValues, MayHaveOneLargeDimension) {
  Tensor features = blobs(1600, 0);
  for (size_t i = 3; i < 1600 * 16; i += 16) features.as<float>()[i] += 1000;
  for (const int pca : {0, 16}) {
    const Partition partition =
        partition_images(matrix_view(features), {}, {.experts = 8, .pca = pca}, 2);
    EXPECT_GE(purity(partition.assignment), 0.999) << pca;
  }
  // One image far off moves none of the others.
  features = blobs(1600, 0);
  features.as<float>()[77] = 1e9F;
  const PartitionConfig plain{.experts = 8, .pca = 0, .tolerance = 0};
  const Partition partition = partition_images(matrix_view(features), {}, plain, 2);
  EXPECT_GE(purity(partition.assignment), 0.87) << "one part may be that image's";
}

TEST(EmbeddingValues, AreRefusedWhereTheirSquaresLeaveFloat32) {
  const TemporaryFolder folder;
  Tensor features = blobs(200, 0);
  const PartitionConfig config{.experts = 8, .pca = 0};
  for (const float scale : {1e-12F, 1e12F}) {  // which keep well within
    const Tensor scaled = blobs(1600, 0, scale);
    EXPECT_GE(purity(partition_images(matrix_view(scaled), {}, config, 2).assignment), 0.999);
  }
  const Tensor small = blobs(200, 0, 1e-25F);
  expect_error([&] { partition_images(matrix_view(small), {}, config, 2); },
               {"square", "float32", "multiply the embedding by 1e2"}, ExitStatus::usage);
  features.as<float>()[16 * 150 + 3] = -3e25F;
  expect_error([&] { partition_images(matrix_view(features), {}, config, 2); },
               {"image 150", "3e+25", "multiply the embedding by 1e-26"});
  save_npy(folder / "x.npy", features);
  const Embedding file({folder / "x.npy"});
  std::vector<float> values(200 * 16);
  expect_error([&] { file.read(0, 200, values.data()); },
               {"x.npy: row 150", "3e+25", "multiply the embedding by 1e-26"});
}

/// Unit rows of 20 dimensions turned into 64.
Tensor low_rank(int64_t images) {
  constexpr int64_t depth = 64, inner = 20;
  Random random(7, RandomUse::test);
  std::vector<float> turn(depth * inner), z(inner);
  for (float& value : turn) value = random.normal();
  Tensor features(DType::f32, {images, depth});
  for (int64_t i = 0; i < images; ++i) {
    float* row = features.as<float>().data() + i * depth;
    for (float& value : z) value = random.normal();
    double square = 0;
    for (int64_t d = 0; d < depth; ++d) {
      for (int64_t j = 0; j < inner; ++j) {
        row[d] += turn[static_cast<size_t>(d * inner + j)] * z[static_cast<size_t>(j)];
      }
      square += double{row[d]} * double{row[d]};
    }
    for (int64_t d = 0; d < depth; ++d) row[d] /= static_cast<float>(std::sqrt(square));
  }
  return features;
}

TEST(EmbeddingValues, WhiteningLeavesOutWhatIsOnlyRounding) {
  const Tensor exact = low_rank(3000);
  Tensor half = exact.clone(), brain = exact.clone();
  for (float& value : half.as<float>()) value = to_float(to_float16(value));
  for (float& value : brain.as<float>()) value = to_float(to_bfloat16(value));
  const TemporaryFolder folder;
  for (const MatrixView rows : {matrix_view(exact), matrix_view(half), matrix_view(brain)}) {
    const Partition all = partition_images(rows, {}, {.experts = 6, .pca = 64}, 2);
    const Partition some = partition_images(rows, {}, {.experts = 6, .pca = 20}, 2);
    EXPECT_EQ(all.dimensions, 20);
    EXPECT_EQ(partition_json(all)["dimensions"], 20);
    EXPECT_EQ(all.assignment, some.assignment);
    EXPECT_NE(describe(all).find("PCA keeps 20 of 64 dimensions"), std::string::npos);
    save_partition(folder.path(), all);
    EXPECT_EQ(partition_json(load_partition(folder.path())).dump(), partition_json(all).dump());
  }
  // Not whitened, what is small weighs little; all that was asked for is kept.
  const PartitionConfig plain{.experts = 6, .pca = 64, .whiten = false};
  EXPECT_EQ(partition_images(matrix_view(half), {}, plain, 2).dimensions, 64);
}

TEST(EmbeddingValues, DirectionsThatVaryLittleButTrulyAreKept) {
  Random random(8, RandomUse::test);
  Tensor features(DType::f32, {3000, 12});
  for (int64_t i = 0; i < 3000 * 12; ++i) {
    const auto deviation = std::pow(10.0, static_cast<double>(-(i % 12)) / 4);  // 1 to 1/562
    features.as<float>()[static_cast<size_t>(i)] =
        to_float(to_float16(static_cast<float>(deviation) * random.normal()));
  }
  EXPECT_EQ(partition_images(matrix_view(features), {}, {.experts = 4, .pca = 12}, 2).dimensions,
            12);
}

TEST(SmallPartitions, AreEqualAsFarAsWholeNumbersAllow) {
  for (const auto& [images, experts] :
       {std::pair{10, 5}, {11, 5}, {20, 3}, {23, 7}, {64, 64}, {100, 16}, {300, 10}}) {
    for (uint64_t seed = 1; seed < 4; ++seed) {
      Random random(seed, RandomUse::test);
      Tensor features(DType::f32, {images, 8});
      for (float& value : features.as<float>()) value = random.normal();
      const PartitionConfig config{.experts = experts, .pca = 0};
      const Partition partition = partition_images(matrix_view(features), {}, config, seed);
      EXPECT_TRUE(partition.balanced) << images << " " << experts << " " << seed;
      EXPECT_TRUE(sizes_within(partition.sizes, 0.05)) << images << " " << experts << " " << seed;
    }
  }
}

/// A warning names few of many experts, and how many the others are.
TEST(SmallParts, AreNamedByTheFirstOfThem) {
  Partition partition;
  partition.sizes.assign(100, 1);
  partition.sizes[0] = 1901;
  partition.assignment.resize(2000);
  testing::internal::CaptureStderr();
  warn_of_small(partition);
  const std::string told = testing::internal::GetCapturedStderr();
  for (const char* part : {"mean of 20 images: 1 (1), 2 (1)", "20 (1) and 79 others"}) {
    EXPECT_NE(told.find(part), std::string::npos) << told;
  }
  EXPECT_EQ(told.find("21 (1)"), std::string::npos) << told;
  partition.sizes.resize(3);
  partition.sizes[2] = 0;
  testing::internal::CaptureStderr();
  warn_of_small(partition);
  const std::string few = testing::internal::GetCapturedStderr();
  EXPECT_NE(few.find("without any image, which cannot be trained: 2;"), std::string::npos) << few;
  EXPECT_EQ(few.find("others"), std::string::npos) << few;
}

}  // namespace
}  // namespace hardmoe
