// What is remembered from pass to pass must never rule out a centroid that might win: bounds are
// compared with scores in float64, and whole fits with fits that remember nothing.
#include "cluster/cpu/pass_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "cluster/kmeans.h"

namespace hardmoe::cpu {
namespace {

Tensor random_rows(int64_t rows, int64_t depth, uint64_t seed, float spread = 1) {
  Random random(seed, RandomUse::test);
  Tensor values(DType::f32, {rows, depth});
  for (float& value : values.as<float>()) value = spread * random.normal();
  return values;
}

double score(const float* point, const float* centroid, int64_t depth, double price) {
  double sum = price;
  for (int64_t d = 0; d < depth; ++d) {
    sum += (double{point[d]} - double{centroid[d]}) * (double{point[d]} - double{centroid[d]});
  }
  return sum;
}

TEST(CentroidGroups, AreWholePanelsOfNearCentroids) {
  // Four heaps, told apart by their first value; numbers go round them.
  Tensor centroids = random_rows(64, 8, 1, 0.1F);
  for (int64_t c = 0; c < 64; ++c) {
    centroids.as<float>()[static_cast<size_t>(8 * c)] += 10 * static_cast<float>(c % 4);
  }
  const CentroidGroups groups = near_groups(matrix_view(centroids), 16, 9);
  EXPECT_EQ(groups.first_column, (std::vector<int32_t>{0, 16, 32, 48, 64}));
  for (size_t g = 0; g < 4; ++g) {
    for (size_t i = 1; i < 16; ++i) {
      EXPECT_EQ(groups.order[16 * g + i] % 4, groups.order[16 * g] % 4) << g;
    }
  }
}

TEST(CentroidGroups, HoldEachCentroidOnce) {
  for (const int64_t count : {1, 15, 16, 17, 100, 1000}) {
    for (const int64_t most : {1, 3, 32}) {
      const Tensor centroids = random_rows(count, 5, 2);
      const CentroidGroups groups = near_groups(matrix_view(centroids), 16, most);
      EXPECT_LE(groups.count(), most);
      EXPECT_EQ(groups.first_column.front(), 0);
      EXPECT_EQ(groups.first_column.back(), (count + 15) / 16 * 16);
      EXPECT_TRUE(std::is_sorted(groups.first_column.begin(), groups.first_column.end()));
      for (const int32_t column : groups.first_column) EXPECT_EQ(column % 16, 0);
      std::vector<uint16_t> sorted = groups.order, expected(static_cast<size_t>(count));
      std::sort(sorted.begin(), sorted.end());
      std::iota(expected.begin(), expected.end(), uint16_t{0});
      EXPECT_EQ(sorted, expected);
    }
  }
}

/// Bounds of the true scores, kept as roots, stay below the scores of rules that drift away.
TEST(Drift, BoundsStayBelowTheScores) {
  constexpr int64_t points = 60, clusters = 50, depth = 12, group_count = 4;
  const Tensor rows = random_rows(points, depth, 3);
  for (const float price_size : {0.0F, 5.0F}) {
    CpuPassCache cache(points, group_count, false);
    cache.centroids = random_rows(clusters, depth, 4);
    Random random(5, RandomUse::test);
    for (int64_t c = 0; c < clusters; ++c) cache.prices.push_back(price_size * random.normal());
    cache.groups = near_groups(matrix_view(cache.centroids), 16, group_count);
    ASSERT_EQ(cache.groups.count(), group_count);
    const auto true_bounds = [&](int64_t point, const Tensor& centroids,
                                 const std::vector<float>& prices) {
      std::vector<double> bounds(group_count, INFINITY);
      for (size_t g = 0; g < group_count; ++g) {
        const auto end = std::min<int64_t>(cache.groups.first_column[g + 1], clusters);
        for (int64_t i = cache.groups.first_column[g]; i < end; ++i) {
          const uint16_t c = cache.groups.order[static_cast<size_t>(i)];
          bounds[g] =
              std::min(bounds[g], score(matrix_view(rows).row(point), matrix_view(centroids).row(c),
                                        depth, double{prices[c]}));
        }
      }
      return bounds;
    };
    const auto least = [](const std::vector<float>& prices) {
      return *std::min_element(prices.begin(), prices.end());
    };
    for (int64_t p = 0; p < points; ++p) {
      const auto bounds = true_bounds(p, cache.centroids, cache.prices);
      const std::vector<float> rounded(bounds.begin(), bounds.end());
      bound_roots(rounded.data(), group_count, least(cache.prices),
                  cache.roots.data() + p * group_count);
    }
    double slack = 0;  // of the bounds, in all
    for (int pass = 0; pass < 4; ++pass) {
      Tensor centroids = cache.centroids.clone();
      std::vector<float> prices = cache.prices;
      for (float& value : centroids.as<float>()) value += 0.05F * random.normal();
      for (float& price : prices) price += 0.1F * price_size * random.normal();
      const Drift drift(cache, {matrix_view(centroids), prices});
      for (int64_t p = 0; p < points; ++p) {
        float* roots = cache.roots.data() + p * group_count;
        const auto expected = true_bounds(p, centroids, prices);
        const auto middle = static_cast<float>(expected[1]);
        std::vector<float> bounds(group_count);
        const uint32_t near = drift.groups(roots, middle, bounds.data());
        for (size_t g = 0; g < group_count; ++g) {
          ASSERT_LE(double{bounds[g]}, expected[g]) << "point " << p << " group " << g;
          EXPECT_EQ(near >> g & 1U, bounds[g] > middle ? 0U : 1U);
          slack += expected[g] - double{bounds[g]};
        }
        bound_roots(bounds.data(), group_count, least(prices), roots);
      }
      cache.centroids = std::move(centroids);
      cache.prices = std::move(prices);
    }
    EXPECT_LT(slack / (4 * points * group_count), price_size + 8) << "bounds that rule nothing out";
  }
}

TEST(Drift, BoundsThatAreNoNumbersRuleNothingOut) {
  const std::vector<float> bounds = {NAN, -INFINITY, -1, INFINITY, 3e38F};
  std::vector<float> roots(5);
  bound_roots(bounds.data(), 5, 0, roots.data());
  EXPECT_EQ(roots[0], 0);
  EXPECT_EQ(roots[1], 0);
  EXPECT_EQ(roots[2], 0);
  EXPECT_GT(roots[3], 1e17F);
  EXPECT_TRUE(std::isfinite(roots[3] * roots[3]));
  EXPECT_TRUE(std::isfinite(roots[4] * roots[4]));
}

/// Whole fits, of heaps with many points between them and of whole numbers with many equal scores.
TEST(PassCache, ChangesNoResult) {
  for (const bool whole : {false, true}) {
    Tensor points = random_rows(6000, 12, 7);
    const Tensor heaps = random_rows(40, 12, 8, 2);
    Random random(9, RandomUse::test);
    for (int64_t p = 0; p < 6000; ++p) {
      const auto heap = static_cast<int64_t>(random.below(40));
      for (int64_t d = 0; d < 12; ++d) {
        float& value = points.as<float>()[static_cast<size_t>(12 * p + d)];
        value += matrix_view(heaps).row(heap)[d];
        if (whole) value = std::round(value);
      }
    }
    const MatrixSource source(matrix_view(points));
    for (const double tolerance : {0.0, 0.1}) {
      for (const int64_t clusters : {40, 150}) {
        const KMeansParams params{.clusters = clusters, .iterations = 20, .tolerance = tolerance};
        PointStream without(source, cpu_cluster_backend(), {.block_rows = 1700});
        PointStream with(source, cpu_cluster_backend(),
                         {.keep_bytes = int64_t{1} << 30, .block_rows = 1700});
        const KMeansResult expected = kmeans(without, params), found = kmeans(with, params);
        EXPECT_EQ(found.assignment, expected.assignment);
        EXPECT_EQ(found.prices, expected.prices);
        EXPECT_EQ(found.inertia, expected.inertia);
        const auto expected_rows = expected.centroids.as<float>();
        const auto rows = found.centroids.as<float>();
        EXPECT_TRUE(std::equal(rows.begin(), rows.end(), expected_rows.begin()));
        ASSERT_EQ(found.iterations.size(), expected.iterations.size());
        for (size_t i = 0; i < found.iterations.size(); ++i) {
          EXPECT_EQ(found.iterations[i].moved, expected.iterations[i].moved) << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace hardmoe::cpu
