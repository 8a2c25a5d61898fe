// Many clusters: starting centroids from a tree, and the search among near centroids.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "base/threads.h"
#include "cluster/balance.h"
#include "cluster/centroid_tree.h"
#include "cluster/cpu/near_screen.h"
#include "cluster/kmeans.h"
#include "cluster/tree_start.h"
#include "cluster/uneven_clusters.h"

namespace hardmoe {
namespace {

constexpr int64_t depth = 12;

CentroidTree tree_of(const Tensor& centroids, const Tensor& points) {
  const std::vector<float> prices(static_cast<size_t>(centroids.size(0)), 0);
  return centroid_tree({matrix_view(centroids), prices}, Points(matrix_view(points)),
                       cpu_cluster_backend());
}

double squared_distance(const float* a, const float* b) {
  double sum = 0;
  for (int64_t d = 0; d < depth; ++d) {
    sum += (double{a[d]} - double{b[d]}) * (double{a[d]} - double{b[d]});
  }
  return sum;
}

TEST(CentroidTree, HoldsEachCentroidOnceInTheGroupOfItsNearestCenter) {
  const Tensor centroids = uneven_clusters(700, depth, 30);
  const CentroidTree tree = tree_of(centroids, uneven_clusters(500, depth, 10));
  EXPECT_GT(tree.groups(), 20);
  EXPECT_LT(tree.groups(), 100);
  ASSERT_EQ(std::ssize(tree.first), tree.groups() + 1);
  std::vector<uint16_t> sorted = tree.order;
  std::ranges::sort(sorted);
  std::vector<uint16_t> all(700);
  std::iota(all.begin(), all.end(), uint16_t{0});
  EXPECT_EQ(sorted, all);
  const MatrixView rows = matrix_view(centroids), centers = matrix_view(tree.centers);
  for (int64_t g = 0; g < tree.groups(); ++g) {
    const auto own = static_cast<size_t>(g);
    ASSERT_LT(tree.first[own], tree.first[own + 1]);
    for (int32_t i = tree.first[own]; i < tree.first[own + 1]; ++i) {
      const float* row = rows.row(tree.order[static_cast<size_t>(i)]);
      const double distance = squared_distance(row, centers.row(g));
      for (int64_t other = 0; other < tree.groups(); ++other) {
        EXPECT_LE(distance, squared_distance(row, centers.row(other)) + 1e-4);
      }
    }
  }
}

TEST(CentroidTree, TakesEqualCentroidsAndOne) {
  const Tensor equal(DType::f32, {50, depth});
  const CentroidTree tree = tree_of(equal, equal);
  EXPECT_EQ(tree.first.back(), 50);
  EXPECT_LE(tree.compared, tree.groups());
  const Tensor one(DType::f32, {1, depth});
  EXPECT_EQ(tree_of(one, equal).groups(), 1);
}

/// Against all distances in float64, of the centroids in the nearest groups.
TEST(NearScreen, FindsTheBestOfTheComparedGroups) {
  const Tensor centroids = uneven_clusters(400, depth, 20),
               points = uneven_clusters(3000, depth, 7);
  const MatrixView rows = matrix_view(points), table = matrix_view(centroids);
  Random random(5, RandomUse::test);
  for (const float price_size : {0.0F, 3.0F}) {
    std::vector<float> prices;
    for (int64_t c = 0; c < table.rows; ++c) prices.push_back(price_size * random.normal());
    for (const int64_t compared : {int64_t{1}, int64_t{3}, int64_t{1000}}) {
      CentroidTree tree = tree_of(centroids, points);
      tree.compared = std::min(compared, tree.groups());
      const PricedCentroids rule{table, prices, &tree};
      for (const auto& level : cpu::integer_levels()) {
        const cpu::NearScreen screen(rule, level);
        std::vector<uint16_t> parts(3000);
        std::vector<float> distances(3000);
        screen.assign(rows, parts, distances);
        const MatrixView centers = matrix_view(tree.centers);
        for (int64_t i = 0; i < rows.rows; ++i) {
          std::vector<double> away;
          for (int64_t g = 0; g < tree.groups(); ++g) {
            away.push_back(squared_distance(rows.row(i), centers.row(g)));
          }
          std::vector<double> sorted = away;
          std::ranges::sort(sorted);
          const double farthest = sorted[static_cast<size_t>(tree.compared) - 1];
          double least = INFINITY;
          for (size_t g = 0; g < away.size(); ++g) {
            if (away[g] > farthest) continue;
            for (int32_t j = tree.first[g]; j < tree.first[g + 1]; ++j) {
              const uint16_t c = tree.order[static_cast<size_t>(j)];
              least =
                  std::min(least, squared_distance(rows.row(i), table.row(c)) + double{prices[c]});
            }
          }
          const auto at = static_cast<size_t>(i);
          const double distance = squared_distance(rows.row(i), table.row(parts[at]));
          EXPECT_NEAR(distance + double{prices[parts[at]]}, least, 1e-3) << i;
          EXPECT_NEAR(distances[at], distance, 1e-3) << i;
        }
      }
    }
  }
}

/// Every compared centroid within the slack is there, with its distance.
TEST(NearScreen, FindsAllWithinTheSlack) {
  const Tensor centroids = uneven_clusters(300, depth, 20), points = uneven_clusters(900, depth, 7);
  const MatrixView rows = matrix_view(points), table = matrix_view(centroids);
  Random random(6, RandomUse::test);
  std::vector<float> prices, slack;
  for (int64_t c = 0; c < table.rows; ++c) {
    prices.push_back(2 * random.normal());
    slack.push_back(std::abs(random.normal()));
  }
  CentroidTree tree = tree_of(centroids, points);
  tree.compared = tree.groups();  // all of them, so that no choice of groups is in between
  const PricedCentroids rule{table, prices, &tree};
  for (const auto& level : cpu::integer_levels()) {
    const cpu::NearScreen screen(rule, level, slack);
    cpu::NearCandidates found;
    screen.candidates(rows, found);
    ASSERT_EQ(std::ssize(found.last), rows.rows);
    size_t at = 0;
    for (int64_t i = 0; i < rows.rows; ++i) {
      std::vector<double> scores;
      double limit = INFINITY;
      for (size_t c = 0; c < prices.size(); ++c) {
        const float* centroid = table.row(static_cast<int64_t>(c));
        scores.push_back(squared_distance(rows.row(i), centroid) + double{prices[c]});
        limit = std::min(limit, scores.back() + double{slack[c]});
      }
      const auto end = static_cast<size_t>(found.last[static_cast<size_t>(i)]);
      const auto own = std::span(found.centroid).subspan(at, end - at);
      EXPECT_TRUE(std::ranges::is_sorted(own));
      for (size_t c = 0; c < scores.size(); ++c) {
        if (scores[c] > limit - 1e-3) continue;
        EXPECT_TRUE(std::ranges::binary_search(own, static_cast<uint16_t>(c))) << i << ", " << c;
      }
      for (; at < end; ++at) {
        EXPECT_NEAR(found.distance[at],
                    squared_distance(rows.row(i), table.row(found.centroid[at])), 1e-3);
      }
    }
  }
}

TEST(TreeStart, IsNearerToTheEndThanDrawnPoints) {
  const Tensor points = uneven_clusters(20000, depth, 60);
  const auto inertia = [&](KMeansStart rule) {
    return kmeans(matrix_view(points), {.clusters = 300, .iterations = 0, .start_rule = rule})
        .inertia;
  };
  const double tree = inertia(KMeansStart::tree);
  EXPECT_LT(tree, 0.9 * inertia(KMeansStart::random));
  const double last =
      kmeans(matrix_view(points),
             {.clusters = 300, .iterations = 25, .start_rule = KMeansStart::plus_plus})
          .inertia;
  EXPECT_LT(tree, 1.05 * last);
}

TEST(TreeStart, TakesOnePointACentroidAndEqualPoints) {
  const Tensor points = uneven_clusters(40, depth, 5);
  const Tensor start = tree_start(matrix_view(points), {.clusters = 40});
  EXPECT_EQ(start.shape(), (Shape{40, depth}));
  const Tensor equal(DType::f32, {40, depth});
  const Tensor zeros = tree_start(matrix_view(equal), {.clusters = 7});
  for (const float value : zeros.as<float>()) EXPECT_EQ(value, 0);
}

TEST(KMeans, ANearSearchIsNearlyAsGoodAndTheSameWhateverTheThreads) {
  const Tensor points = uneven_clusters(30000, depth, 60);
  const auto fit = [&](KMeansSearch search) {
    return kmeans(matrix_view(points), {.clusters = 500, .iterations = 3, .search = search});
  };
  const KMeansResult exact = fit(KMeansSearch::exact), near = fit(KMeansSearch::near);
  EXPECT_EQ(exact.agreement, 1);
  EXPECT_GE(near.agreement, 0.995);
  EXPECT_LT(near.agreement, 1);
  EXPECT_LT(near.inertia, 1.005 * exact.inertia);
  const int before = compute_threads();
  for (const int threads : {1, 3}) {
    set_compute_threads(threads);
    const KMeansResult again = fit(KMeansSearch::near);
    EXPECT_EQ(again.assignment, near.assignment);
    EXPECT_EQ(again.inertia, near.inertia);
  }
  set_compute_threads(before);
}

TEST(KMeans, ABalancedNearSearchReachesTheTolerance) {
  const Tensor points = uneven_clusters(30000, depth, 60);
  for (const int64_t sample : {int64_t{1} << 20, int64_t{8000}}) {
    const KMeansResult found = kmeans(matrix_view(points), {.clusters = 500,
                                                            .iterations = 4,
                                                            .tolerance = 0.1,
                                                            .price_sample = sample,
                                                            .search = KMeansSearch::near});
    EXPECT_TRUE(found.balanced);
    EXPECT_GE(found.agreement, 0.998);
    EXPECT_LT(found.agreement, 1);  // not all centroids were compared
    EXPECT_TRUE(sizes_within(found.sizes, 0.1));
  }
}

TEST(KMeans, ANearSearchGoesOnToTheSameResult) {
  const Tensor points = uneven_clusters(20000, depth, 60);
  const MatrixSource source(matrix_view(points));
  const KMeansParams params{.clusters = 400, .iterations = 3, .search = KMeansSearch::near};
  std::vector<KMeansState> states;
  PointStream stream(source, cpu_cluster_backend());
  const KMeansResult whole = kmeans(stream, params, [&](const KMeansState& now) {
    states.push_back(now);
    states.back().centroids = now.centroids.clone();  // the fit goes on with its own
  });
  ASSERT_GE(states.size(), 2U);
  const KMeansResult rest = kmeans(stream, params, {}, states.data());
  EXPECT_EQ(rest.assignment, whole.assignment);
  EXPECT_EQ(rest.inertia, whole.inertia);
}

}  // namespace
}  // namespace hardmoe
