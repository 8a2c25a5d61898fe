// The images near an expert's part, against the definitions by plain loops.
#include "moe/part_images.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace hardmoe {
namespace {

class PartImages : public testing::Test {
 protected:
  static constexpr int64_t images = 700, width = 6;

  PartImages() : features_(DType::f32, {images, width}) {
    Random random(31, RandomUse::test);
    for (float& value : features_.as<float>()) value = random.normal();
    partition_ = made(PartitionMethod::kmeans);
  }

  Partition made(PartitionMethod method, int fine = 0) const {
    PartitionConfig config{.method = method, .experts = 5, .pca = 4};
    config.fine = fine;
    return partition_images(matrix_view(features_), {}, config, 3);
  }

  MatrixSource embedding() const { return MatrixSource(matrix_view(features_)); }
  static bool contains(const std::vector<int64_t>& items, int64_t item) {
    return std::find(items.begin(), items.end(), item) != items.end();
  }

  Tensor features_;
  Partition partition_;
};

TEST_F(PartImages, OverlapIsByDistanceAndPrice) {
  for (const int fine : {0, 20}) {
    const Partition partition = made(PartitionMethod::kmeans, fine);
    const Gater& gater = partition.gater;
    const Tensor z = gater.project(matrix_view(features_));
    const MatrixView points = matrix_view(z), centroids = matrix_view(gater.centroids);
    for (const int64_t expert : {0, 3}) {
      const auto part = overlapping_part(partition, embedding(), expert, 2);
      EXPECT_TRUE(std::is_sorted(part.begin(), part.end()));
      for (int64_t i = 0; i < images; ++i) {
        std::vector<double> score(5, 1e30);  // an expert's is that of its best centroid
        for (int64_t c = 0; c < centroids.rows; ++c) {
          double d = double{gater.prices[static_cast<size_t>(c)]};
          for (int64_t j = 0; j < centroids.cols; ++j) {
            const double step = double{points.row(i)[j]} - double{centroids.row(c)[j]};
            d += step * step;
          }
          const auto of = gater.expert_of.empty() ? static_cast<size_t>(c)
                                                  : gater.expert_of[static_cast<size_t>(c)];
          score[of] = std::min(score[of], d);
        }
        const double own = score[static_cast<size_t>(expert)];
        const auto better =
            std::count_if(score.begin(), score.end(), [&](double s) { return s < own - 1e-4; });
        const auto maybe =
            std::count_if(score.begin(), score.end(), [&](double s) { return s < own + 1e-4; }) - 1;
        if (better > 1) {
          EXPECT_FALSE(contains(part, i)) << i;
        }
        if (maybe < 2) {
          EXPECT_TRUE(contains(part, i)) << i;
        }
      }
    }
  }
}

TEST_F(PartImages, OfOneExpertIsThePartAlone) {
  for (const int64_t expert : {0, 4}) {
    const auto part = overlapping_part(partition_, embedding(), expert, 1);
    EXPECT_EQ(std::ssize(part), partition_.sizes[static_cast<size_t>(expert)]);
    for (const int64_t i : part) EXPECT_EQ(partition_.assignment[static_cast<size_t>(i)], expert);
  }
  EXPECT_EQ(std::ssize(overlapping_part(partition_, embedding(), 2, 5)), images);
}

TEST_F(PartImages, AtRandomTheNextExpertsFollow) {
  const Partition partition = made(PartitionMethod::random);
  const auto part = following_part(partition, 1, 2);
  for (int64_t i = 0; i < images; ++i) {
    const auto own = partition.assignment[static_cast<size_t>(i)];
    EXPECT_EQ(contains(part, i), own == 1 || own == 0) << i;
  }
  EXPECT_EQ(std::ssize(following_part(partition, 0, 2)), partition.sizes[0] + partition.sizes[4]);
}

TEST_F(PartImages, OutsideIsAllElse) {
  EXPECT_EQ(outside_of({0, 2, 5}, 6), (std::vector<int64_t>{1, 3, 4}));
  EXPECT_EQ(outside_of({}, 2), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(outside_of({0, 1}, 2), (std::vector<int64_t>{}));
}

TEST_F(PartImages, TheNearestAreThoseLeastFartherThanTheirOwnPricesIncluded) {
  const Gater& gater = partition_.gater;
  const Tensor z = gater.project(matrix_view(features_));
  const MatrixView points = matrix_view(z), centroids = matrix_view(gater.centroids);
  const int64_t expert = 2, count = 60;
  const auto outside = outside_of(overlapping_part(partition_, embedding(), expert, 1), images);
  const auto score = [&](int64_t i, int64_t c) {
    double sum = 0;
    for (int64_t j = 0; j < centroids.cols; ++j) {
      const double step = double{points.row(i)[j]} - double{centroids.row(c)[j]};
      sum += step * step;
    }
    return sum + double{gater.prices[static_cast<size_t>(c)]};
  };
  std::vector<std::pair<double, int64_t>> order;
  for (const int64_t i : outside) {
    order.emplace_back(score(i, expert) - score(i, partition_.assignment[static_cast<size_t>(i)]),
                       i);
  }
  std::sort(order.begin(), order.end());
  std::vector<int64_t> expected;
  for (size_t i = 0; i < count; ++i) expected.push_back(order[i].second);
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(nearest_of(outside, partition_, embedding(), expert, count), expected);
  EXPECT_EQ(nearest_of(outside, partition_, embedding(), expert, std::ssize(outside)), outside);
}

TEST(NearestImages, APriceMovesOneInAndAnotherOut) {
  // Centroids at 0, 10 and −10; one image of the second expert at 6, one of the third at −7.
  const Tensor features = Tensor::from(std::vector<float>{6, -7}, {2, 1});
  const MatrixSource embedding(matrix_view(features));
  Partition partition;
  Gater& gater = partition.gater;
  gater.experts = 3;
  gater.inputs = 1;
  gater.centroids = Tensor::from(std::vector<float>{0, 10, -10}, {3, 1});
  gater.prices = {0, 0, 0};
  partition.assignment = {1, 2};
  const auto nearest = [&] { return nearest_of({0, 1}, partition, embedding, 0, 1).at(0); };
  EXPECT_EQ(nearest(), 0);  // by 6² − 4² = 20, the other by 7² − 3² = 40
  gater.prices = {0, -30, 0};
  ASSERT_EQ(gater.route(matrix_view(features)), partition.assignment);
  EXPECT_EQ(nearest(), 1);  // 50 and 40
  gater.prices = {5, -10, 0};
  EXPECT_EQ(nearest(), 0);  // 35 and 45
}

}  // namespace
}  // namespace hardmoe
