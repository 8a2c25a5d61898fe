#include "cluster/balance.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "cluster/kmeans.h"
#include "cluster/nearest.h"
#include "cluster/part_tree.h"
#include "cluster/price_sample.h"

namespace hardmoe {
namespace {

Tensor normal_rows(int64_t rows, int64_t depth, uint64_t seed) {
  Random random(seed, RandomUse::test);
  Tensor found(DType::f32, {rows, depth});
  for (float& value : found.as<float>()) value = random.normal();
  return found;
}

TEST(Balance, SizesAreWithinTheToleranceOrNextToTheMean) {
  EXPECT_TRUE(sizes_within(std::vector<int64_t>{10, 11, 10, 11}, 0));
  EXPECT_FALSE(sizes_within(std::vector<int64_t>{9, 11, 11, 11}, 0.01));
  EXPECT_TRUE(sizes_within(std::vector<int64_t>{95, 105, 100}, 0.05));
  EXPECT_FALSE(sizes_within(std::vector<int64_t>{94, 106, 100}, 0.05));
  // From min(⌊N/K⌋, ⌈(1 − t)N/K⌉) to max(⌈N/K⌉, ⌊(1 + t)N/K⌋), by hand.
  EXPECT_TRUE(sizes_within(std::vector<int64_t>{2, 2, 2, 2, 2}, 0.05));
  EXPECT_FALSE(sizes_within(std::vector<int64_t>{2, 3, 2, 2, 1}, 0.05));  // 2 to 2
  EXPECT_TRUE(sizes_within(std::vector<int64_t>{2, 3, 2, 2, 2}, 0.05));   // 11/5: 2 to 3
  EXPECT_FALSE(sizes_within(std::vector<int64_t>{1, 3, 2, 2, 3}, 0.05));
  EXPECT_TRUE(sizes_within(std::vector<int64_t>{19, 21, 20}, 0.05));       // 19 to 21
  EXPECT_FALSE(sizes_within(std::vector<int64_t>{28, 32, 30, 30}, 0.05));  // 28.5 to 31.5
  EXPECT_TRUE(sizes_within(std::vector<int64_t>{29, 31, 30, 30}, 0.05));
}

TEST(Balance, TwoCentroidsOnALineMatchTheClosedForm) {
  // Points 0 … 99 and centroids 0 and 10. Equal halves part between 49 and 50: at 49.5,
  // 49.5² + p₀ = 39.5² + p₁, so p₁ − p₀ = 890, give or take what one point's step of 1 is
  // worth: 20.
  Tensor points(DType::f32, {100, 1});
  for (size_t i = 0; i < 100; ++i) points.as<float>()[i] = static_cast<float>(i);
  const Tensor centroids = Tensor::from(std::vector<float>{0, 10}, {2, 1});
  std::vector<float> prices(2);
  const PriceFit fit =
      fit_prices(matrix_view(points), matrix_view(centroids), {.tolerance = 0.001}, prices);
  EXPECT_TRUE(fit.within);
  EXPECT_NEAR(prices[1] - prices[0], 890, 30);
  std::vector<uint16_t> assignment(100);
  assign(matrix_view(points), CentroidTable(matrix_view(centroids), prices), assignment);
  const auto zeros = std::count(assignment.begin(), assignment.end(), uint16_t{0});
  EXPECT_TRUE(zeros >= 49 && zeros <= 51) << zeros;
}

TEST(Balance, FewPartsMayGoFar) {
  // Two groups of parts a long way apart, one of which has too many points for its parts by half:
  // these have to climb together until they lose points to the other group.
  constexpr int64_t depth = 4, parts = 12, points_a_group = 3000;
  const Tensor noise = normal_rows(3 * points_a_group, depth, 5);
  Tensor points(DType::f32, {3 * points_a_group, depth});
  Tensor centroids(DType::f32, {parts, depth});
  const Tensor places = normal_rows(parts, depth, 6);
  constexpr float apart = 30;
  for (int64_t i = 0; i < points.elements(); ++i) {
    const bool far = i / depth >= 2 * points_a_group;
    points.as<float>()[static_cast<size_t>(i)] =
        noise.as<float>()[static_cast<size_t>(i)] + (far && i % depth == 0 ? apart : 0);
  }
  for (int64_t i = 0; i < centroids.elements(); ++i) {
    const bool far = i / depth >= parts / 2;
    centroids.as<float>()[static_cast<size_t>(i)] =
        places.as<float>()[static_cast<size_t>(i)] + (far && i % depth == 0 ? apart : 0);
  }
  std::vector<float> prices(parts);
  const PriceFit fit =
      fit_prices(matrix_view(points), matrix_view(centroids), {.tolerance = 0.05}, prices);
  EXPECT_TRUE(fit.within);
  std::vector<uint16_t> assignment(3 * points_a_group);
  assign(matrix_view(points), CentroidTable(matrix_view(centroids), prices), assignment);
  std::vector<int64_t> sizes(parts);
  for (const uint16_t part : assignment) ++sizes.at(part);
  EXPECT_TRUE(sizes_within(sizes, 0.05));
  EXPECT_GT(*std::max_element(prices.begin(), prices.end()), apart * apart / 4);
}

TEST(Balance, ABoundaryTellsTheSizesAtAllPricesWithinReach) {
  constexpr int64_t rows = 3000, depth = 12, clusters = 40;
  const Tensor points = normal_rows(rows, depth, 2);
  const Tensor centroids = normal_rows(clusters, depth, 3);
  Random random(4, RandomUse::test);
  std::vector<float> prices;
  PriceReach reach;
  for (int64_t c = 0; c < clusters; ++c) {
    prices.push_back(4 * random.uniform());
    reach.down.push_back((c % 7 == 0 ? 20.0F : 1.0F) * random.uniform());
    reach.up.push_back((c % 5 == 0 ? 20.0F : 1.0F) * random.uniform());
  }
  ClusterBackend& backend = cpu_cluster_backend();
  const auto loaded = backend.load(matrix_view(points));
  const auto boundary = backend.find_boundary(*loaded, {matrix_view(centroids), prices}, reach);
  EXPECT_LT(boundary->candidates(), rows * clusters * 2 / 3) << "nothing is ruled out";
  for (int round = 0; round < 20; ++round) {
    std::vector<float> now = prices;
    for (size_t c = 0; c < now.size(); ++c) {  // mostly at the very ends
      now[c] += random.uniform() < 0.5F ? -reach.down[c] : reach.up[c];
    }
    std::vector<int64_t> expected(clusters), sizes(clusters);
    std::vector<uint16_t> assignment(rows);
    assign(matrix_view(points), CentroidTable(matrix_view(centroids), now), assignment);
    for (const uint16_t part : assignment) ++expected[part];
    boundary->add_sizes(now, sizes);
    for (size_t c = 0; c < sizes.size(); ++c) EXPECT_LE(std::abs(sizes[c] - expected[c]), 1) << c;
  }
}

TEST(Balance, APriceThatMayGoFarAddsOneCandidateAPoint) {
  constexpr int64_t rows = 2000, depth = 10, clusters = 30;
  const Tensor points = normal_rows(rows, depth, 10), centroids = normal_rows(clusters, depth, 11);
  const std::vector<float> prices(clusters);
  const auto candidates = [&](float down, float up) {
    PriceReach reach{.down = std::vector<float>(clusters, 1),
                     .up = std::vector<float>(clusters, 1)};
    reach.down[5] = down;
    reach.up[5] = up;
    ClusterBackend& backend = cpu_cluster_backend();
    const auto loaded = backend.load(matrix_view(points));
    return backend.find_boundary(*loaded, {matrix_view(centroids), prices}, reach)->candidates();
  };
  const int64_t near = candidates(1, 1);
  EXPECT_LE(candidates(1e4F, 1), near + 2 * rows);  // a point that was settled keeps its own too
  EXPECT_LE(candidates(1, 1e4F), near + 2 * rows);
}

TEST(PriceSample, CorrectionsMakeItsPartsThoseOfAllPoints) {
  constexpr int64_t rows = 20000, depth = 6, clusters = 8, drawn = 2000;
  const Tensor all = normal_rows(rows, depth, 7), centroids = normal_rows(clusters, depth, 8);
  const MatrixSource source(matrix_view(all));
  PointStream points(source, cpu_cluster_backend());
  PriceSample sample(points, drawn, Random(9, RandomUse::test));
  ASSERT_EQ(sample.points().rows(), drawn);
  const auto sizes = [&](PointStream& of, std::span<const float> prices,
                         std::vector<uint16_t>& parts) {
    parts.resize(static_cast<size_t>(of.rows()));
    return assign_all(of, {matrix_view(centroids), prices}, parts).sizes;
  };
  std::vector<float> prices(clusters);
  std::vector<uint16_t> parts, of_sample;
  const auto before = sizes(points, prices, parts),
             drawn_sizes = sizes(sample.points(), prices, of_sample);
  const auto corrections = sample.corrections({matrix_view(centroids), prices}, parts);
  for (size_t c = 0; c < clusters; ++c) {
    EXPECT_NEAR(static_cast<double>(drawn_sizes[c] + corrections[c]),
                static_cast<double>(before[c]) / 10, 0.5);
  }
  // Prices that part the sample with corrections far from its own sizes.
  const std::vector<int64_t> shifted = {100, -100, 50, -50, 0, 0, 0, 0};
  const PriceFit fit = fit_prices(sample.points(), matrix_view(centroids),
                                  {.tolerance = 0.02, .corrections = shifted}, prices);
  EXPECT_TRUE(fit.within);
  const auto fitted = sizes(sample.points(), prices, of_sample);
  for (size_t c = 0; c < clusters; ++c) {
    EXPECT_NEAR(static_cast<double>(fitted[c] + shifted[c]), drawn / clusters, 6) << c;
  }
}

TEST(PartTree, JoinsNearPartsFirst) {
  // On a line: 0, 1 | 10, 11 | 100: pairs first, then the pairs, then the one alone.
  const Tensor centres = Tensor::from(std::vector<float>{0, 10, 1, 11, 100}, {5, 1});
  const PartTree tree = join_near_parts(matrix_view(centres));
  ASSERT_EQ(tree.nodes(), tree.parent.size() + 1);
  EXPECT_EQ(tree.parent[0], tree.parent[2]);
  EXPECT_EQ(tree.parent[1], tree.parent[3]);
  EXPECT_NE(tree.parent[0], tree.parent[1]);
  EXPECT_EQ(tree.parts.back(), 5);
  for (size_t n = 0; n < tree.parent.size(); ++n) EXPECT_GT(tree.parent[n], static_cast<int>(n));
}

TEST(PartTree, HasFewLevelsAlsoWhereAllPartsAreAlike) {
  const Tensor centres = Tensor::from(std::vector<float>(300, 1.0F), {300, 1});
  const PartTree tree = join_near_parts(matrix_view(centres));
  EXPECT_EQ(tree.parts.back(), 300);
  EXPECT_LE(tree.nodes(), 600U);
  EXPECT_EQ(join_near_parts(matrix_view(centres).slice(0, 1)).nodes(), 1U);
}

}  // namespace
}  // namespace hardmoe
