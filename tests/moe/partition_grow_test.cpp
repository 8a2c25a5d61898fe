#include "moe/partition_grow.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "expect_error.h"
#include "temporary_folder.h"

namespace hardmoe {
namespace {

class Grown : public testing::TestWithParam<int> {  // the number of fine centroids
 protected:
  void SetUp() override {
    Random random(21, RandomUse::test);
    features = Tensor(DType::f32, {6000, 12});
    for (float& value : features.as<float>()) value = random.normal() * random.normal() + 2;
    source = std::make_unique<MatrixSource>(matrix_view(features));
    const PartitionConfig config{.experts = 5, .pca = 8, .iterations = 6, .fine = GetParam()};
    before = partition_images(*source, {}, config, 5);
  }

  /// The invariants of every way to grow, and that the result survives its files.
  void check(const Partition& after) const {
    const auto added = static_cast<uint16_t>(before.gater.experts);
    ASSERT_EQ(after.gater.experts, added + 1);
    ASSERT_EQ(after.sizes.size(), added + 1U);
    for (size_t i = 0; i < before.assignment.size(); ++i) {
      ASSERT_TRUE(after.assignment[i] == before.assignment[i] || after.assignment[i] == added);
    }
    EXPECT_EQ(after.gater.route(matrix_view(features)), after.assignment);
    if (GetParam() == 0) {  // one centroid is a new expert's, where others have several
      EXPECT_LT(after.inertia, before.inertia);
    }
    const TemporaryFolder folder;
    save_partition(folder.path(), after);
    const Partition back = load_partition(folder.path());
    EXPECT_EQ(back.gater.route(matrix_view(features)), after.assignment);
    const ExpertChoices choices =
        back.gater.nearest_experts(matrix_view(features), back.gater.experts);
    const auto all = static_cast<size_t>(back.gater.experts);
    for (size_t i = 0; i < after.assignment.size(); ++i) {
      const auto row = std::span(choices.expert).subspan(i * all, all);
      ASSERT_EQ(row[0], after.assignment[i]);
      ASSERT_EQ(std::set<uint16_t>(row.begin(), row.end()).size(), all);
    }
    const Tensor z = back.gater.project(matrix_view(features));
    for (size_t i = 0; i < after.assignment.size(); ++i) {
      const float* point = matrix_view(z).row(static_cast<int64_t>(i));
      const float own = back.gater.score_of(point, after.assignment[i]);
      for (size_t e = 0; e < all; ++e) {
        ASSERT_LE(own, back.gater.score_of(point, static_cast<uint16_t>(e)) + 1e-3F) << i;
      }
    }
  }

  Tensor features;
  std::unique_ptr<MatrixSource> source;
  Partition before;
};

TEST_P(Grown, AnAddedExpertTakesItsShareAndNobodyElseMoves) {
  const Partition after = add_expert(*source, before, 3);
  check(after);
  EXPECT_NEAR(static_cast<double>(after.sizes.back()), 6000 / 6.0, 5);
}

TEST_P(Grown, TheLargestExpertIsHalvedAndNobodyElseMoves) {
  const Partition after = halve_largest_expert(*source, before, 3);
  check(after);
  const auto parent = static_cast<size_t>(
      std::max_element(before.sizes.begin(), before.sizes.end()) - before.sizes.begin());
  EXPECT_NEAR(static_cast<double>(after.sizes.back()),
              static_cast<double>(before.sizes[parent]) / 2, 2);
  for (size_t e = 0; e < before.sizes.size(); ++e) {
    if (e != parent) {
      EXPECT_EQ(after.sizes[e], before.sizes[e]);
    }
  }
}

TEST_P(Grown, GrowsAgainAndAgainWithoutMovingOthers) {
  for (int step = 0; step < 4; ++step) {
    const Partition after =
        step % 2 == 0 ? halve_largest_expert(*source, before, 3) : add_expert(*source, before, 3);
    check(after);
    before = after;
  }
  EXPECT_EQ(before.gater.experts, 9);
}

INSTANTIATE_TEST_SUITE_P(FineCentroids, Grown, testing::Values(0, 20));

/// A third of all images lie in one heap, most others in a few: later experts take from several, so
/// that none before them is left with little.
TEST(Grow, LaterExpertsLeaveEarlierOnesEnough) {
  constexpr int64_t images = 8000, depth = 16, heaps = 40;
  Random random(31, RandomUse::test);
  std::vector<float> centres(heaps * depth);
  for (float& value : centres) value = 2 * random.normal();
  std::vector<double> upto;  // of shares 1, 1/2, 1/3, …
  for (int64_t h = 0; h < heaps; ++h) {
    upto.push_back((h > 0 ? upto.back() : 0) + 1 / static_cast<double>(h + 1));
  }
  Tensor features(DType::f32, {images, depth});
  float* row = features.as<float>().data();
  for (int64_t i = 0; i < images; ++i, row += depth) {
    const double drawn = random.uniform_double() * upto.back();
    const auto heap = std::upper_bound(upto.begin(), upto.end() - 1, drawn) - upto.begin();
    for (int64_t d = 0; d < depth; ++d) {
      row[d] = centres[static_cast<size_t>(heap * depth + d)] + random.normal();
    }
  }
  const MatrixSource source(matrix_view(features));
  Partition partition = partition_images(source, {}, {.experts = 10, .pca = 0, .iterations = 8}, 5);
  for (int step = 0; step < 3; ++step) {
    partition = add_expert(source, partition, 3);
    const auto mean = static_cast<double>(images) / static_cast<double>(partition.gater.experts);
    const int64_t least = *std::min_element(partition.sizes.begin(), partition.sizes.end());
    EXPECT_GT(static_cast<double>(least), 0.4 * mean) << "after expert " << 10 + step;
  }
}

TEST(Grow, RefusesWhatIsImpossible) {
  const Tensor features(DType::f32, {40, 3});
  const MatrixSource source(matrix_view(features));
  const PartitionConfig config{.method = PartitionMethod::random, .experts = 2, .pca = 0};
  const Partition random = partition_images(source, {}, config, 1);
  expect_error([&] { add_expert(source, random, 1); }, {"by kmeans, found one by random"},
               ExitStatus::usage);
  const Tensor others(DType::f32, {41, 3});
  const MatrixSource other(matrix_view(others));
  const Partition partition = partition_images(source, {}, {.experts = 2, .pca = 0}, 1);
  expect_error([&] { halve_largest_expert(other, partition, 1); }, {"40 × 3", "41 × 3"},
               ExitStatus::usage);
}

}  // namespace
}  // namespace hardmoe
